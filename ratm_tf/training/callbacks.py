"""Keras callbacks that show how a tracker's training goes."""

import keras
import tensorflow as tf

from ratm_tf.datasets.rate import Rate
from ratm_tf.types import Example, Path
from ratm_tf.visualize import tracked_film_strip


class Throughput(keras.callbacks.Callback):
    """Adds `sequences_per_second` to an epoch's logs: how fast training consumes data.

    Put it before callbacks that write the logs.

    Args:
        batch_size: sequences per batch.

    Example:
    >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     np.zeros([8, 3]), np.zeros([8, 1]), batch_size=2, verbose=0,
    ...     callbacks=[Throughput(batch_size=2)],
    ... )
    >>> history.history["sequences_per_second"][0] > 0
    True
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # The first batch may trace the model: the rate counts those after it.
        self._rate = Rate()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        self._rate.reached(batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None and self._rate.per_second is not None:
            logs["sequences_per_second"] = self._rate.per_second * self.batch_size


class TrackedSequences(keras.callbacks.Callback):
    """Draws how the tracker follows a few sequences, at the end of every epoch.

    Each epoch adds an image to the TensorBoard logs, a `tracked_film_strip`.

    Args:
        example: dict, a batch of `ratm_tf.datasets`.
        log_dir: folder of the TensorBoard logs.

    Example:
    >>> frames, boxes = tf.zeros([1, 5, 64, 64, 1]), tf.zeros([1, 5, 4])
    >>> pictures = TrackedSequences({"frames": frames, "boxes": boxes}, "/tmp/logs")
    >>> tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, glimpse_size=(8, 8)))
    >>> tracker.compile("sgd", loss={"boxes": "mae"})
    >>> history = tracker.fit(
    ...     {"frames": frames}, {"boxes": boxes}, callbacks=[pictures], verbose=0
    ... )
    """

    def __init__(self, example: Example, log_dir: Path) -> None:
        super().__init__()
        self._example = example
        self._log_dir = str(log_dir)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._writer = tf.summary.create_file_writer(self._log_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        strip = tracked_film_strip(self.model, self._example)
        with self._writer.as_default():
            tf.summary.image("tracked", strip[tf.newaxis], step=epoch)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._writer.close()
