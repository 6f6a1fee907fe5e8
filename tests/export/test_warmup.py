"""The requests that warm up a server."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog


def test_warmup_requests(folder, signatures):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    seen = set()
    for record in tf.data.TFRecordDataset(str(path)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(t) for name, t in request.inputs.items()}
        signature = signatures[request.model_spec.signature_name]
        outputs = signature(**{n: tf.constant(value) for n, value in inputs.items()})
        assert all(np.isfinite(output).all() for output in outputs.values())
        seen.add(request.model_spec.signature_name)
    assert seen == set(signatures)
