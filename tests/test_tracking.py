"""The page on tracking runs as it stands, on sequences that stand in for TB-100's."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests import programs

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tracking.md"


def write_sequence(folder, length=8):
    """A bright patch that goes to the right over a street of noise."""
    random = np.random.default_rng(0)
    street = random.integers(60, 120, [240, 320, 3], np.uint8)
    (folder / "img").mkdir(parents=True)
    rows = []
    for number in range(length):
        frame = street.copy()
        frame[46 : 46 + 62, 50 + 2 * number :][:, :25] = 230
        cv2.imwrite(str(folder / "img" / f"{number + 1:04d}.jpg"), frame)
        rows.append(f"{51 + 2 * number},47,25,62")
    (folder / "groundtruth_rect.txt").write_text("\n".join(rows))


@pytest.mark.slow
def test_the_page(tmp_path, monkeypatch):
    pytest.importorskip("got10k")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "digits.avi", tmp_path / "docs")
    for name in ("Couple", "Girl"):
        write_sequence(tmp_path / "otb" / name)
    command = f"program {ROOT / 'experiments'}"
    names = {}
    for language, block in re.findall(
        r"```(python|bash)\n(.*?)```", PAGE.read_text(), re.DOTALL
    ):
        if language == "python":
            exec(block, names)
            continue
        block = re.sub(r"ratm-tf (\w+)", rf"{command}/\1.py", block)
        programs.run_bash(block)

    for picture in re.findall(r"!\[[^]]*\]\((.*?)\)", PAGE.read_text()):
        assert (ROOT / "docs" / picture).stat().st_size < 150_000
        if picture != "tracking_curves.png":  # of TB-100
            assert (tmp_path / "docs" / picture).exists()
    found = json.loads((tmp_path / "couple.json").read_text())["trackers"]
    assert {"RATM", "MIL"} == set(found) and found["MIL"]["iou"] > 0.5
    overall = names["performance"]["RATM"]["overall"]
    assert 0 < overall["success_score"] < 1
    tables = (tmp_path / "boxes.csv").read_text().splitlines()
    assert len(tables) == 1 + 2 * 8


@pytest.mark.slow
def test_the_program_for_vot(tmp_path):
    trax, client = map(pytest.importorskip, ("trax", "trax.client"))
    write_sequence(tmp_path / "Couple", length=3)
    [program] = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    with subprocess.Popen(
        [sys.executable, tmp_path / "program.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        streams = process.stdin.fileno(), process.stdout.fileno()
        vot = client.Client(stream=streams, log=lambda *_: None)
        frames = sorted((tmp_path / "Couple" / "img").iterdir())
        images = [{"color": trax.FileImage.create(str(frame))} for frame in frames]
        target = trax.Rectangle.create(50, 46, 25, 62)
        [(found, _)], _ = vot.initialize(images[0], [(target, {})], {})
        np.testing.assert_allclose(found.bounds(), [50, 46, 25, 62], atol=0.1)
        for image in images[1:]:
            [(found, _)], _ = vot.frame(image, objects=[])
            assert found.bounds() != (50, 46, 25, 62)
        vot.quit()
        assert process.wait(60) == 0
