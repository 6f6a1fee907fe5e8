import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from ratm_tf.training.run_folder import run_folder, write_json


def test_another_run_is_refused_by_what_differs(tmp_path):
    with run_folder(tmp_path, {"seed": 0, "units": 8}):
        pass
    with pytest.raises(ValueError, match="another run, with seed: 0, not 1$"):
        with run_folder(tmp_path, {"seed": 1, "units": 8}):
            pass
    with pytest.raises(ValueError, match="units: 8, not None"):
        with run_folder(tmp_path, {"seed": 0}):
            pass


@pytest.mark.parametrize(
    "run",
    [
        {"frame_size": (24, 30)},
        {"split": {1: 0.5}},
        {"clip": float("nan")},
        {"seed": np.int64(0), "rate": np.float32(0.1)},
    ],
    ids=["tuple", "integer key", "NaN", "NumPy numbers"],
)
def test_the_same_run_is_known_again(tmp_path, run):
    for _ in range(2):
        with run_folder(tmp_path, run) as folder:
            note = json.loads((folder / "run.json").read_text())
    assert set(note) == {"run", "versions", "git"}


def test_what_is_not_json_is_named(tmp_path):
    with pytest.raises(ValueError, match="`run`.*object"):
        with run_folder(tmp_path, {"seed": object()}):
            pass


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_note_is_set_aside(tmp_path, caplog, content):
    (tmp_path / "run.json").write_text(content)
    with run_folder(tmp_path, {"seed": 0}):
        pass
    assert (tmp_path / "damaged_run.json").read_text() == content
    assert "is damaged" in caplog.text
    assert json.loads((tmp_path / "run.json").read_text())["run"] == {"seed": 0}


def test_a_process_holds_its_folder_until_it_dies(tmp_path):
    code = f"""
from ratm_tf.training.run_folder import run_folder
with run_folder({str(tmp_path)!r}, {{"seed": 0}}):
    print("held", flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(RuntimeError, match="Another process"):
        with run_folder(tmp_path, {"seed": 0}):
            pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with run_folder(tmp_path, {"seed": 0}):
        pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"steps": 1})
    with pytest.raises(TypeError):
        write_json(path, {"steps": object()})
    assert json.loads(path.read_text()) == {"steps": 1}
    assert list(tmp_path.iterdir()) == [path]
