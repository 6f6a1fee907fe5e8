"""The guide to one's own videos runs as it stands, from making them to serving."""

import importlib.util
import json
import pathlib
import re

import cv2
import pytest

from ratm_tf.boxes import xywh_from_xyxy
from tests import programs

ROOT = pathlib.Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "own_videos.md"


@pytest.mark.slow
def test_the_guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    blocks = re.findall(r"```(python|bash)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "bash"}
    names = {}
    for language, block in blocks:
        if language == "bash":
            programs.run_bash(block.replace(".venv/bin/python", "program"))
        elif "import optuna" not in block:
            exec(block, names)
        elif importlib.util.find_spec("optuna"):
            exec(block.replace("n_trials=20", "n_trials=1"), names)

    assert (tmp_path / "runs" / "discs" / "boxes.png").exists()
    lines = (tmp_path / "boxes.jsonl").read_text().splitlines()
    assert len(lines) == len(names["tracked"]) == 60
    last = xywh_from_xyxy(names["tracked"][-1])
    assert json.loads(lines[-1])["box"] == pytest.approx(last, abs=0.1)
    compared = json.loads((tmp_path / "compared.json").read_text())["trackers"]
    assert compared["RATM"]["iou"] > 0.5 and "MIL" in compared
    assert (tmp_path / "runs" / "scratch" / "model.keras").exists()
    assert cv2.VideoCapture("tracked.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 60
