"""Signatures, as messages in JSON have them."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from ratm_tf.serving.protocol.signature import Signature, TensorInfo


def test_types_are_tensorflows():
    names = ["bool", "string", "half", "bfloat16", "float32", "float64", "complex64"]
    names += [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    for dtype in map(tf.as_dtype, names):
        message = SignatureDef()
        message.outputs["y"].dtype = dtype.as_datatype_enum
        for axis in (None, 3):
            size = -1 if axis is None else axis
            message.outputs["y"].tensor_shape.dim.add(size=size)
        in_json = json_format.MessageToDict(message, preserving_proto_field_name=True)
        info = Signature.from_json(in_json).outputs["y"]
        assert info.dtype == np.dtype(dtype.as_numpy_dtype)
        assert info.shape == (None, 3)


def test_other_shapes_and_types():
    definition = {
        "inputs": {
            "any": {"dtype": "DT_QINT8", "tensor_shape": {"unknown_rank": True}},
            "scalar": {"dtype": "DT_INT64", "tensor_shape": {}},
        }
    }
    signature = Signature.from_json(definition)
    assert signature.outputs == {}
    assert signature.inputs["scalar"] == TensorInfo("DT_INT64", ())
    assert signature.inputs["any"].shape is None
    with pytest.raises(ValueError, match="a type of NumPy's. Received: DT_QINT8"):
        _ = signature.inputs["any"].dtype
