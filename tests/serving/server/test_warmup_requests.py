"""The requests beside a SavedModel."""

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.serving.protocol.tensor_messages import tensors_from_messages
from ratm_tf.serving.server.warmup_requests import (
    read_warmup_requests,
    write_warmup_requests,
)

REQUESTS = {
    "square": {"x": np.float32([[1, 2]])},
    "decode": {"file": tf.constant([b"a\0"]), "size": np.int32(3)},
}


def test_reads_what_is_written(tmp_path):
    write_warmup_requests(tmp_path, REQUESTS)
    assert (tmp_path / "assets.extra" / "tf_serving_warmup_requests").is_file()
    read = {
        r.model_spec.signature_name: r.inputs for r in read_warmup_requests(tmp_path)
    }
    assert read.keys() == REQUESTS.keys()
    for signature, inputs in REQUESTS.items():
        tensors = tensors_from_messages(read[signature])
        assert tensors.keys() == inputs.keys()
        for name, value in inputs.items():
            np.testing.assert_array_equal(tensors[name].numpy(), value)


def test_none(tmp_path):
    assert list(read_warmup_requests(tmp_path)) == []


def test_half_a_file(tmp_path):
    write_warmup_requests(tmp_path, REQUESTS)
    path = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(tf.errors.DataLossError):
        list(read_warmup_requests(tmp_path))
