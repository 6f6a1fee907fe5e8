import time

import cv2
import keras
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ratm_tf
from ratm_tf.training.callbacks import Throughput, TrackedSequences


def test_throughput_counts_sequences_without_the_first_batch():
    class Slow(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            time.sleep(1.0 if batch == 0 else 0.05)

    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(
        np.zeros([20, 3]),
        np.zeros([20, 1]),
        batch_size=4,
        verbose=0,
        callbacks=[Slow(), Throughput(batch_size=4)],
    )
    (rate,) = history.history["sequences_per_second"]
    assert 4 < rate < 4 / 0.05


def test_tracked_sequences_are_logged(tmp_path):
    example = {
        "frames": np.zeros([2, 7, 64, 64, 1], np.uint8),
        "boxes": np.tile(np.float32([10, 10, 30, 30]), [2, 7, 1]),
    }
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, glimpse_size=(8, 8)))
    tracker.compile("sgd", loss={"boxes": "mae"})
    tracker.fit(
        {"frames": example["frames"]},
        {"boxes": example["boxes"]},
        epochs=3,
        verbose=0,
        callbacks=[TrackedSequences(example, tmp_path / "logs")],
    )
    events = EventAccumulator(str(tmp_path / "logs"), {"tensors": 0}).Reload()
    images = events.Tensors("tracked")
    assert [event.step for event in images] == [0, 1, 2]
    _, _, png = images[-1].tensor_proto.string_val
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    greens = (picture == (64, 255, 64)).all(axis=-1).sum()
    assert greens > 100
