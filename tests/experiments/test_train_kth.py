import json
import pathlib
import subprocess
import sys

import keras
import pytest

import ratm_tf
from ratm_tf.datasets.kth.pipeline import subjects_of

EXPERIMENTS = pathlib.Path(ratm_tf.__file__).parents[1] / "experiments"
DUMMY = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "kth" / "dummy_data"


def run(program, **flags):
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    return subprocess.run(
        [sys.executable, EXPERIMENTS / program, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def kth_dir(tmp_path):
    """The made-up jogging clip, as if of a subject of each split."""
    folder = tmp_path / "kth"
    folder.mkdir()
    video = (DUMMY / "person01_jogging_d1_uncomp.avi").read_bytes()
    *header, row, _, _, _ = (
        (DUMMY / "KTHBoundingBoxInfo.txt").read_text().strip().split("\n")
    )
    train, *_ = subjects_of("train", 1)
    for subject in (1, train, *subjects_of("validation", 1)):
        name = f"person{subject:02d}_jogging_d1_uncomp.avi"
        (folder / name).write_bytes(video)
        header.append(f"{subject} {row.partition(' ')[2]}")
    (folder / "KTHBoundingBoxInfo.txt").write_text("\n".join(header))
    return folder


def test_trains_and_is_evaluated(kth_dir, tmp_path):
    model_dir = tmp_path / "run"
    flags = {"kth_dir": kth_dir, "test_subject": 1}
    first = run("train_kth.py", steps=2, model_dir=model_dir, **flags)
    metrics = json.loads((model_dir / "metrics.json").read_text())
    assert metrics["steps"] == 2 and metrics["test_subject"] == 1
    assert json.loads(first.stdout.splitlines()[-1]) == metrics
    assert "val_corner_boxes_iou" in first.stdout
    assert (model_dir / "film_strip.png").stat().st_size > 10_000
    tracker = keras.saving.load_model(model_dir / "model.keras")
    assert tracker.box_scale == 1.5
    evaluated = run(
        "evaluate.py", model=model_dir / "model.keras", dataset="kth", **flags
    )
    evaluated = json.loads(evaluated.stdout)
    assert evaluated["corner_iou"] == pytest.approx(metrics["corner_iou"], abs=1e-6)
