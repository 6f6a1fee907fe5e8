import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.boxes import iou
from ratm_tf.datasets import bouncing_balls_sequences


@pytest.fixture(scope="module")
def tracker():
    return ratm_tf.load_pretrained("bouncing_balls")


@pytest.fixture(scope="module")
def sequences():
    return bouncing_balls_sequences(
        "test", num_frames=12, batch_size=16, num_sequences=40
    )


def test_averages_over_all_frames_of_a_span(tracker, sequences):
    metrics = ratm_tf.evaluate(tracker, sequences, [(1, 12), (4, 12), None], verbose=0)
    examples = list(sequences.unbatch().batch(40))[0]
    outputs = tracker.predict({"frames": examples["frames"]}, verbose=0)
    for kind, output in (("corner", "corner_boxes"), ("extent", "boxes")):
        each = iou(examples["boxes"], outputs[output]).numpy()
        assert metrics[f"{kind}_iou_1_12"] == pytest.approx(each.mean(), abs=1e-5)
        assert metrics[f"{kind}_iou_4_12"] == pytest.approx(
            each[:, 3:].mean(), abs=1e-5
        )
        assert metrics[f"{kind}_iou"] == metrics[f"{kind}_iou_1_12"]


@pytest.mark.parametrize("average", ["frames", "sequences"])
def test_neither_batches_nor_padding_matter(tracker, sequences, average):
    lengths = np.random.default_rng(0).integers(1, 13, 40)

    def cut(index, example):
        return {
            "frames": example["frames"][: lengths_[index]],
            "boxes": example["boxes"][: lengths_[index]],
            "mask": tf.ones(12, tf.bool)[: lengths_[index]],
        }

    lengths_ = tf.constant(lengths)
    ragged = sequences.unbatch().enumerate().map(cut)
    spans = [None, (2, 5), (10, 12)]
    found = [
        ratm_tf.evaluate(
            tracker, ragged.padded_batch(size), spans, average=average, verbose=0
        )
        for size in (1, 7, 40)
    ]
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-5)

    examples = list(sequences.unbatch().batch(40))[0]
    boxes = tracker.predict({"frames": examples["frames"]}, verbose=0)["corner_boxes"]
    each = iou(examples["boxes"], boxes).numpy()
    counted = [row[:length] for row, length in zip(each, lengths, strict=True)]
    if average == "frames":
        expected = np.concatenate(counted).mean()
    else:
        expected = np.mean([row.mean() for row in counted])
    assert found[0]["corner_iou"] == pytest.approx(expected, abs=1e-5)


def test_corner_trackers_have_an_extent_too(sequences):
    keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(4, (5, 5))
    found = [
        ratm_tf.evaluate(ratm_tf.Tracker(cell, box=box), sequences, [None], verbose=0)
        for box in ("corner", "extent")
    ]
    assert found[0] == found[1]
    assert found[0]["corner_iou"] != found[0]["extent_iou"]


@pytest.mark.parametrize(
    ("span", "message"),
    [((0, 5), "`spans`"), ((4, 2), "`spans`"), ((9, 13), "13 frames.* 12 frames")],
)
def test_spans_that_cannot_be(tracker, sequences, span, message):
    with pytest.raises(ValueError, match=message):
        ratm_tf.evaluate(tracker, sequences, [span], verbose=0)


def test_no_frame_that_counts_is_no_figure(tracker, sequences):
    masked = sequences.map(lambda each: each | {"mask": tf.ones([16, 12], tf.bool)})
    masked = masked.take(1)
    assert ratm_tf.evaluate(tracker, masked, [(12, 20)], verbose=0)
    with pytest.raises(ValueError, match=r"to count.*the span \(13, 20\)"):
        ratm_tf.evaluate(tracker, masked, [(12, 20), (13, 20)], verbose=0)
    with pytest.raises(ValueError, match="`dataset` to have an end"):
        ratm_tf.evaluate(tracker, sequences.repeat(), [None], verbose=0)


def test_a_compiled_tracker_stays_as_it_is(sequences):
    tracker = ratm_tf.load_pretrained("bouncing_balls")
    tracker.compile("sgd", {"boxes": "mse"}, weighted_metrics={"boxes": ["mae"]})
    labelled = sequences.map(ratm_tf.labelled)
    before = tracker.evaluate(labelled, verbose=0, return_dict=True)
    ratm_tf.evaluate(tracker, sequences, [None], verbose=0)
    assert tracker.evaluate(labelled, verbose=0, return_dict=True) == before


def test_more_can_be_measured_in_the_same_pass(tracker, sequences):
    seen = []
    metrics = ratm_tf.evaluate(
        tracker,
        sequences,
        [None],
        verbose=0,
        on_batch=lambda example, outputs: seen.append(
            iou(example["boxes"], outputs["corner_boxes"]).numpy()
        ),
    )
    assert [len(each) for each in seen] == [16, 16, 8]
    assert metrics["corner_iou"] == pytest.approx(np.concatenate(seen).mean(), abs=1e-5)
