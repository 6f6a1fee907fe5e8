import json
import pathlib
import subprocess

import cv2
import numpy as np
import pytest

import ratm_tf
from ratm_tf.boxes import iou
from ratm_tf.datasets.starts import spatial_starts
from tests.datasets.annotated.clips import write_folder


def still_tracker():
    """Its windows stay where they are: so does the first box."""
    cell = ratm_tf.RATMCell(4, window_update="residual", initial_window="given")
    tracker = ratm_tf.Tracker(cell, box="corner")
    tracker.build({"frames": (None, None, None, None, 1)})
    cell.window.kernel.assign(np.zeros([4, 6]))
    return tracker


@pytest.fixture
def otb_dir(tmp_path):
    """Two sequences of twelve frames, in which a box goes to the right."""
    for name in ("Runner", "Walker"):
        folder = tmp_path / "otb" / name
        (folder / "img").mkdir(parents=True)
        for number in range(12):
            frame = np.full([40, 50, 3], 20 * number, np.uint8)
            cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), frame)
        step = 2 if name == "Runner" else 1
        boxes = [f"{5 + step * number} 6 20 25" for number in range(12)]
        (folder / "groundtruth_rect.txt").write_text("\n".join(boxes))
    return tmp_path / "otb"


def test_measures_the_beginnings_of_named_sequences(run, otb_dir, tmp_path):
    tracker = still_tracker()
    tracker.save(tmp_path / "model.keras")
    options = {
        "model": tmp_path / "model.keras",
        "dataset": "otb",
        "otb_dir": otb_dir,
        "frames": 11,
    }
    strip, results = tmp_path / "strip.png", tmp_path / "results"
    printed = run(
        "evaluate.py",
        names="Runner",
        film_strip=strip,
        film_strip_every=5,
        results=results,
        **options,
    )
    found = json.loads(printed.stdout)
    true = np.float32([[4.5 + 2 * t, 5.5, 24.5 + 2 * t, 30.5] for t in range(11)])
    each = iou(true, np.tile(true[:1], [11, 1])).numpy()
    assert found["corner_iou"] == pytest.approx(each.mean(), abs=1e-4)
    assert found["corner_iou_1_10"] == pytest.approx(each[:10].mean(), abs=1e-4)
    assert "corner_iou_1_50" not in found and found["average"] == "sequences"
    rows = np.loadtxt(results / "Runner.txt", delimiter=",")
    np.testing.assert_allclose(rows, [[5, 6, 20, 25]] * 11, atol=2e-3)
    assert found["sequences"] == {"Runner": found["one_pass"]}
    assert found["one_pass"]["iou"] == pytest.approx(each.mean(), abs=1e-3)
    # Frames 1, 6 and 11, four times as large, over their glimpses, with gaps.
    assert cv2.imread(str(strip)).shape[1] == 3 * (4 * 50 + 4) - 4

    both = json.loads(run("evaluate.py", **options).stdout)
    assert both["corner_iou"] > found["corner_iou"]

    # Without --frames, sequences of fewer frames than a span count as far as they go.
    del options["frames"]
    whole = json.loads(run("evaluate.py", **options).stdout)
    assert whole["corner_iou_1_50"] == whole["corner_iou_1_100"] == whole["corner_iou"]

    # A tracker that stays where it was, from starts that are a little off.
    ends = json.loads(
        run("evaluate.py", names="Runner", starts="spatial", **options).stdout
    )
    true = np.float32([[4.5 + 2 * t, 5.5, 24.5 + 2 * t, 30.5] for t in range(12)])
    starts = spatial_starts({"initial_box": true[0]})
    firsts = np.stack([start["initial_box"] for start in starts])
    each = iou(np.tile(true, [12, 1]), np.repeat(firsts, 12, axis=0)).numpy()
    assert ends["corner_iou"] == pytest.approx(each.mean(), abs=1e-3)
    assert set(ends["sequences"]) == {"Runner"}


def test_measures_from_a_later_frame_on(run, tmp_path):
    still_tracker().save(tmp_path / "model.keras")
    options = {"model": tmp_path / "model.keras", "sequences": 3, "from_frame": 29}
    found = json.loads(
        run("evaluate.py", dataset="moving_mnist_two_digits", **options).stdout
    )
    data = ratm_tf.datasets.moving_mnist_sequences(
        "test", num_frames=30, num_digits=2, num_sequences=3, fallback=True
    )
    true = np.stack([example["boxes"][28:].numpy() for example in data])
    each = iou(true, np.repeat(true[:, :1], 2, axis=1)).numpy()
    assert found["corner_iou"] == pytest.approx(each.mean(), abs=1e-3)
    assert not [name for name in found if "_1_10" in name or "oracle" in name]
    with pytest.raises(subprocess.CalledProcessError) as error:
        run("evaluate.py", dataset="otb", **options)
    assert "--from_frame" in error.value.stderr


def test_measures_on_films_of_cut_outs(run, tmp_path):
    still_tracker().save(tmp_path / "model.keras")  # It sees them in grey.
    options = {"sequences": 3, "frames": 6, "seed": 2}
    folder = pathlib.Path(ratm_tf.datasets.__file__).parent / "cutouts" / "dummy_data"
    model = {"model": tmp_path / "model.keras", "dataset": "cutouts"}
    printed = run("evaluate.py", cutouts_path=folder / "cutouts", **model, **options)
    found = json.loads(printed.stdout)
    films = ratm_tf.datasets.cutout_sequences(
        "test",
        num_frames=6,
        num_sequences=3,
        batch_size=3,
        seed=2,
        cutouts_path=folder / "cutouts",
    )
    [film] = films
    still = np.repeat(film["initial_box"].numpy()[:, np.newaxis], 6, axis=1)
    each = iou(film["boxes"], still).numpy()[film["mask"].numpy()]
    assert found["corner_iou"] == pytest.approx(each.mean(), abs=1e-3)
    with pytest.raises(subprocess.CalledProcessError) as error:
        run("evaluate.py", **model)
    assert "--cutouts_path with --dataset=cutouts" in error.value.stderr


def test_measures_ones_own_videos(run, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_folder(folder, count=3)
    tracker = still_tracker()
    tracker.save(tmp_path / "model.keras")
    options = {"dataset": "videos", "data": folder, "model": tmp_path / "model.keras"}
    results = tmp_path / "results"
    found = json.loads(
        run("evaluate.py", split="all", results=results, **options).stdout
    )
    written = {path.relative_to(results).as_posix() for path in results.rglob("*.txt")}
    assert {f"{name}.txt" for name in found["sequences"]} == written
    assert len(written) >= 3 and found["average"] == "sequences"
    each = [one["iou"] for one in found["sequences"].values()]
    assert found["one_pass"]["iou"] == pytest.approx(np.mean(each), abs=1e-3)
    plotted = json.loads(
        run(
            "plot.py",
            split="all",
            dataset="videos",
            data=folder,
            results=results,
            output=tmp_path / "curves.png",
        ).stdout
    )
    assert plotted["trackers"][str(results)] == found["one_pass"]
    only = json.loads(run("evaluate.py", **options).stdout)
    assert len(only["sequences"]) < len(each)


def test_a_score_is_measured_in_the_same_pass(run, tmp_path):
    plot = tmp_path / "plots" / "reliability.png"
    printed = run(
        "evaluate.py",
        model="pretrained:moving_mnist",
        dataset="moving_mnist",
        sequences=8,
        frames=10,
        reliability=plot,
    )
    found = json.loads(printed.stdout)
    assert 0 <= found["score_mean"] <= 1 and "sequences" not in found
    assert cv2.imread(str(plot)) is not None
    with pytest.raises(subprocess.CalledProcessError) as error:
        run("evaluate.py", model="pretrained:moving_mnist", results=tmp_path / "r")
    assert "--results with --dataset=otb or videos" in error.value.stderr
