import json
import pathlib

import keras
import pytest

import ratm_tf
from ratm_tf import recipes
from ratm_tf.datasets.kth.sequences import subjects_of

DUMMY = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "kth" / "dummy_data"


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


@pytest.mark.slow
def test_the_papers_recipe_trains(run, kth_dir, tmp_path):
    flags = {"kth_dir": kth_dir, "model_dir": tmp_path / "run", "test_subject": 1}
    run("train_kth.py", preset="paper", finetune=True, steps=2, **flags)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["preset"] == "paper" and 0 <= metrics["corner_iou"] <= 1
    tracker = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert tracker.cell.features.trainable
    objective = tracker.objectives["features"]
    assert objective.trainable and objective.output_shape == (None, 256)


def test_trains_the_subjects_that_are_missing_and_averages(run, kth_dir, tmp_path):
    model_dir = tmp_path / "run"
    for subject in range(2, 26):
        (model_dir / f"subject{subject:02d}").mkdir(parents=True)
        recipe = recipes.people(
            "kth", test_subject=subject, kth_dir=str(kth_dir), steps=2
        )
        ious = {
            f"{kind}_iou{span}": 0.02 * subject
            for kind in ("corner", "extent")
            for span in ("", "_1_10", "_1_30")
        }
        done = ious | {"seed": 0, "recipe": recipe.as_dict()}
        path = model_dir / f"subject{subject:02d}" / "metrics.json"
        path.write_text(json.dumps(done))
    flags = {"kth_dir": kth_dir, "model_dir": model_dir, "steps": 2}
    first = run("train_kth.py", test_subject="all", **flags)
    folder = model_dir / "subject01"
    trained = json.loads((folder / "metrics.json").read_text())
    assert trained["steps"] == 2 and trained["test_subject"] == 1
    assert "val_corner_boxes_iou" in first.stdout
    assert (folder / "film_strip.png").stat().st_size > 2_000
    tracker = keras.saving.load_model(folder / "model.keras")
    assert tracker.box_scale == 1.5

    average = json.loads((model_dir / "metrics.json").read_text())
    assert json.loads(first.stdout.splitlines()[-1]) == average
    expected = (trained["corner_iou"] + 0.02 * sum(range(2, 26))) / 25
    assert average["corner_iou"] == pytest.approx(expected)

    evaluated = run(
        "evaluate.py",
        model=folder / "model.keras",
        dataset="kth",
        kth_dir=kth_dir,
        test_subject=1,
        film_strip=tmp_path / "strip.png",
    )
    evaluated = json.loads(evaluated.stdout)
    assert evaluated["corner_iou"] == pytest.approx(trained["corner_iou"], abs=1e-6)
    assert (tmp_path / "strip.png").stat().st_size > 2_000
