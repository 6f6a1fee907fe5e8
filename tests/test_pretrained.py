import pathlib

import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets import bouncing_balls, moving_mnist, people
from ratm_tf.evaluation import tracker_inputs
from ratm_tf.objectives import iou

DATASETS = pathlib.Path(ratm_tf.datasets.__file__).parent
SAMPLE = DATASETS / "sources" / "mnist_sample.npz"


def test_bouncing_balls_pass_the_paper():
    """Table 1 has 66.86 over all frames; they go on for ten times as many."""
    test = bouncing_balls("test", num_frames=300, batch_size=100, num_sequences=100)
    tracker = ratm_tf.load_pretrained("bouncing_balls")
    metrics = ratm_tf.evaluate(tracker, test, [(1, 32), (1, 300)], verbose=0)
    assert metrics["corner_iou_1_32"] > 0.87
    assert metrics["corner_iou_1_300"] > 0.9


def test_bouncing_balls_with_a_penalty_on_the_last_frame_pass_the_paper():
    """Table 1 has 69.15 on the last frame, and 54.65 over all."""
    test = bouncing_balls("test", num_frames=32, batch_size=100, num_sequences=300)
    tracker = ratm_tf.load_pretrained("bouncing_balls_last")
    metrics = ratm_tf.evaluate(tracker, test, [(1, 32), (32, 32)], verbose=0)
    assert metrics["corner_iou_32_32"] > 0.9
    assert metrics["corner_iou_1_32"] > 0.55


@pytest.mark.parametrize(
    ("name", "num_digits", "least"),
    [("moving_mnist", 1, 0.75), ("moving_mnist_two_digits", 2, 0.69)],
)
def test_moving_mnist_passes_the_paper(name, num_digits, least):
    """Table 1 has 63.53 over 30 frames, and 51.62 with two digits."""
    test = moving_mnist(
        "test",
        num_frames=30,
        num_digits=num_digits,
        batch_size=50,
        num_sequences=200,
        mnist_path=SAMPLE,
    )
    tracker = ratm_tf.load_pretrained(name)
    metrics = ratm_tf.evaluate(tracker, test, [(1, 30)], verbose=0)
    assert metrics["corner_iou_1_30"] > least


def test_people_tracks_drawn_ones_at_any_scale():
    """Table 1 has 55.03 on KTH; these people are none that it was trained on."""
    drawn = DATASETS / "people" / "dummy_data" / "PennFudanPed"
    test = people(
        "test", num_frames=30, batch_size=40, num_sequences=40, pennfudan_path=drawn
    )
    example = next(iter(test))
    tracker = ratm_tf.load_pretrained("people")
    outputs = tracker.predict_on_batch(tracker_inputs(example))
    values = iou(example["detected_boxes"], outputs["corner_boxes"]).numpy()
    mask = example["mask"].numpy()
    assert values[mask].mean() > 0.65

    # In a frame twice as high and wide, people are half as large for the tracker.
    margin = [[0, 0], [0, 0], [60, 60], [80, 80], [0, 0]]
    shift = np.float32([80, 60, 80, 60])
    padded = {
        "frames": np.pad(example["frames"], margin, mode="edge"),
        "initial_box": example["initial_box"] + shift,
    }
    boxes = tracker.predict_on_batch(padded)["corner_boxes"] - shift
    assert iou(example["detected_boxes"], boxes).numpy()[mask].mean() > 0.65


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_cnn.*moving_mnist.*nobody"):
        ratm_tf.load_pretrained("nobody")
