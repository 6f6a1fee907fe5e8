import numpy as np

import ratm_tf
from ratm_tf.datasets import moving_mnist_sequences, tracker_inputs
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH


def test_labels_are_the_true_box_and_the_class():
    sequences = moving_mnist_sequences(
        "test", num_frames=12, batch_size=16, num_sequences=16, mnist_path=SAMPLE_PATH
    )
    example = next(iter(sequences))
    inputs, labels = ratm_tf.labelled(example)
    assert set(inputs) == {"frames"} and set(labels) == {"boxes", "class_probabilities"}
    np.testing.assert_array_equal(labels["boxes"], example["boxes"])
    np.testing.assert_array_equal(
        np.argmax(labels["class_probabilities"], axis=-1),
        np.repeat(example["digit"][:, None], 12, axis=1),
    )
    assert np.all(np.sum(labels["class_probabilities"], axis=-1) == 1)


def test_a_mask_becomes_weights():
    example = {
        "frames": np.zeros([2, 3, 8, 8, 1], np.uint8),
        "boxes": np.zeros([2, 3, 4], np.float32),
        "initial_box": np.zeros([2, 4], np.float32),
        "mask": np.array([[True, True, False], [True, False, False]]),
    }
    inputs, labels, weights = ratm_tf.labelled(example)
    assert set(inputs) == {"frames", "initial_box"} == set(tracker_inputs(example))
    assert set(labels) == {"boxes"}
    np.testing.assert_array_equal(weights, [[1, 1, 0], [1, 0, 0]])
