"""Messages that hold tensors, and messages that would hold too much."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from ratm_tf.serving.protocol.tensor_messages import (
    message_from_tensor,
    tensors_from_messages,
)


def tensor(message, **options):
    return tensors_from_messages({"x": message}, **options)["x"]


def message(dtype, shape, **values):
    proto = TensorProto(dtype=dtype.as_datatype_enum, **values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.float64(2.5),
        np.zeros([0, 3], np.int32),
        np.array([True, False]),
        np.float16([1.5]),
        np.array([[b"a\0", b""]], object),
        np.array(b"abc", object),
    ],
)
def test_there_and_back(value):
    result = tensor(message_from_tensor(value))
    assert result.shape == value.shape
    np.testing.assert_array_equal(result.numpy(), value)


def test_bfloat16():
    value = tf.constant([1.5, -2.0], tf.bfloat16)
    result = tensor(message_from_tensor(value))
    assert result.dtype == tf.bfloat16
    np.testing.assert_array_equal(result.numpy(), value.numpy())


def test_as_tensorflow_reads_them():
    """Small integers wrap, and the last value stands for those that are missing.

    Values beyond the shape are left out.
    """
    values = message(tf.uint8, [4], int_val=[300, -1, 7])
    assert tensor(values).numpy().tolist() == [44, 255, 7, 7]
    strings = message(tf.string, [3], string_val=[b"a", b"b\0"])
    assert tensor(strings).numpy().tolist() == [b"a", b"b\0", b"b\0"]
    assert tensor(message(tf.float32, [1], float_val=[1, 2])).numpy().tolist() == [1]
    assert tensor(message(tf.float32, [2])).numpy().tolist() == [0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        message(tf.float32, [2], tensor_content=b"abc"),
        message(tf.float32, [3], tensor_content=bytes(8)),
        message(tf.float32, [-1], float_val=[1]),
        message(tf.float32, [2**40, 2**40, 0], float_val=[1]),
        message(tf.string, [1], tensor_content=b"a"),
        message(tf.resource, []),
        message(tf.variant, [1]),
        TensorProto(),
        TensorProto(dtype=77),
        TensorProto(dtype=101, float_val=[1]),
        TensorProto(dtype=1, tensor_shape={"unknown_rank": True}),
    ],
    ids=lambda proto: repr(str(proto)),
)
def test_what_holds_no_tensor(wrong):
    with pytest.raises(tf.errors.InvalidArgumentError, match='"x" does not') as error:
        tensor(wrong)
    assert len(error.value.message) < 200


@pytest.mark.parametrize(
    "short",
    [
        message(tf.uint8, [100_000] * 5, int_val=[0]),
        message(tf.float64, [2**17]),
        message(tf.string, [1, 6000], string_val=[b"x" * 1000]),
        message(tf.string, [2**20]),
        message(tf.string, [2**62, 2**62], string_val=[b""]),
        message(tf.string, [1], string_val=[b"x" * 2**20]),
    ],
    ids=lambda proto: f"{proto.dtype} {len(proto.SerializeToString())}",
)
def test_bounds_what_a_message_becomes(short):
    with pytest.raises(tf.errors.ResourceExhaustedError, match="limit is 1048575"):
        tensor(short, max_bytes=2**20 - 1)


def test_what_is_just_small_enough():
    assert tensor(message(tf.float64, [2**17]), max_bytes=2**20).shape == 2**17
    strings = message(tf.string, [2], string_val=[b"x" * 476])
    assert tensor(strings, max_bytes=1000).shape == 2
    with pytest.raises(tf.errors.ResourceExhaustedError):
        tensor(strings, max_bytes=999)
