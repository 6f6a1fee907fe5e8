import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets.rendered import rendered

SPEC = {
    "number": tf.TensorSpec([], tf.int64),
    "squares": tf.TensorSpec([3], tf.float32),
}


def squares(index):
    values = np.full(3, index**2, np.float32)
    return {"number": np.int64(index), "squares": values, "left": "out"}


@pytest.mark.parametrize("batch_size", [None, 4])
def test_sequences_come_in_their_order(batch_size):
    dataset = rendered(tf.data.Dataset.range(5, 15), squares, SPEC, batch_size)
    batched = [] if batch_size is None else [None]
    for name, spec in dataset.element_spec.items():
        assert spec.shape.as_list() == batched + SPEC[name].shape.as_list()
    examples = list(dataset.as_numpy_iterator())
    numbers = np.concatenate([np.atleast_1d(each["number"]) for each in examples])
    np.testing.assert_array_equal(numbers, range(5, 15))
    found = np.concatenate([each["squares"].reshape(-1, 3) for each in examples])
    np.testing.assert_array_equal(found[:, 0], np.arange(5, 15) ** 2)
    assert set(examples[0]) == set(SPEC)


def test_what_has_another_shape_is_refused():
    spec = SPEC | {"squares": tf.TensorSpec([4], tf.float32)}
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(rendered(tf.data.Dataset.range(1), squares, spec)))
