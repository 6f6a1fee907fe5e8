import keras
import numpy as np
import pytest

from ratm_tf.boxes import iou
from ratm_tf.objectives import MeanIoU


def random_boxes(count, seed):
    corners = np.random.default_rng(seed).integers(0, 320, [count, 2, 2]) / 8
    return np.sort(corners, axis=1).reshape([count, 4]).astype(np.float32)


def test_metric_counts_spans_and_weights():
    true = random_boxes(20, 0).reshape([2, 10, 4])
    predicted = true + np.float32(1)
    each = iou(true, predicted).numpy()
    weight = np.tile(np.float32([[1.0], [0.0]]), [1, 10])
    weight[0, 3] = 0

    def mean(metric, **arguments):
        metric.update_state(true[:1], predicted[:1])
        metric.reset_state()
        metric.update_state(true, predicted, **arguments)
        return float(metric.result())

    assert mean(MeanIoU()) == pytest.approx(each.mean(), rel=1e-5)
    assert mean(MeanIoU(frames=(3, 7))) == pytest.approx(each[:, 2:7].mean(), rel=1e-5)
    assert mean(MeanIoU(), sample_weight=weight) == pytest.approx(
        each[0, np.arange(10) != 3].mean(), rel=1e-5
    )
    assert mean(MeanIoU((4, 5)), sample_weight=weight) == pytest.approx(each[0, 4])
    assert mean(MeanIoU(), sample_weight=np.float32([0, 1])) == pytest.approx(
        each[1].mean(), rel=1e-5
    )


def test_serialization():
    config = keras.saving.serialize_keras_object(MeanIoU(frames=(1, 10), name="early"))
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.name == "early" and tuple(restored.frames) == (1, 10)
