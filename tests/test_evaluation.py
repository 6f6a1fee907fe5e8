import numpy as np
import pytest

import ratm_tf
from ratm_tf.attention import gaussian_glimpse
from ratm_tf.boxes import iou, window_from_box
from ratm_tf.datasets import moving_mnist_sequences
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


@pytest.fixture(scope="module")
def sequences():
    return moving_mnist_sequences(
        "test", num_frames=12, batch_size=16, num_sequences=40, mnist_path=SAMPLE_PATH
    )


def test_labels_are_what_the_true_boxes_show(sequences):
    example = next(iter(sequences))
    inputs, labels = ratm_tf.labelled(example, glimpse_size=(28, 28))
    assert set(inputs) == {"frames"}
    np.testing.assert_array_equal(labels["boxes"], example["boxes"])
    np.testing.assert_array_equal(labels["corner_boxes"], example["boxes"])
    frame, box = example["frames"][3, 5], example["boxes"][3, 5]
    seen = gaussian_glimpse(frame[None], window_from_box(box[None], (28, 28)))
    np.testing.assert_allclose(labels["glimpses"][3, 5], seen[0] / 255, atol=1e-6)
    # At stride one and sigma one half, a glimpse is the digit's cell, a little blurred.
    x, y = (int(edge + 0.5) for edge in box[:2])
    cell = frame[y : y + 28, x : x + 28].numpy() / 255
    assert np.corrcoef(labels["glimpses"][3, 5].numpy().flat, cell.flat)[0, 1] > 0.95
    np.testing.assert_array_equal(
        np.argmax(labels["class_probabilities"], axis=-1),
        np.repeat(example["digit"][:, None], 12, axis=1),
    )


def test_evaluate_averages_over_all_frames_of_a_span(sequences):
    tracker = ratm_tf.load_pretrained("moving_mnist")
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
