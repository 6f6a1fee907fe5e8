"""What can be known: the boxes of a predictor that knows the law of motion.

The oracle knows all past positions exactly, as no tracker can that sees pixels, and the
law that the generators move things by. In the first frame, of which nothing is known
yet, it says the best constant box; in the second one, without a velocity yet, that
nothing has moved. From the third frame on it is wrong only by what is drawn at random
in each frame: the kicks of the digits. It is told the velocity then, which in the third
frame two positions leave open where there may have been a rebound between them. Scored
at the corner box as trackers are, it is the ceiling of their IoU from there on.
"""

import numpy as np
import tensorflow as tf

from ratm_tf.boxes import iou
from ratm_tf.datasets import bouncing_balls
from ratm_tf.datasets.arguments import SPLITS, integer, one_of, sequence_indices
from ratm_tf.datasets.bouncing_balls.sequences import bouncing_balls_sequences
from ratm_tf.datasets.moving_mnist import FRAME_SIZE
from ratm_tf.datasets.moving_mnist.sequences import DIGIT_SIZE, motion
from ratm_tf.objectives.mean_iou import MeanIoU

_BLOCK = 1_000


def bouncing_balls_oracle(split, *, num_frames, num_sequences, seed=0):
    """What can be known of `bouncing_balls_sequences`: all but the first two frames.

    Args:
        split: "train" or "test".
        num_frames: frames per sequence, T.
        num_sequences: how many, S.
        seed: integer, chooses the collection of sequences.

    Returns:
        `(true, known)`, float32 boxes of shape [S, T, 4], the target's and the
        oracle's, as (x1, y1, x2, y2) in pixels.

    Raises:
        ValueError: an argument is out of its range.

    Example:
    >>> from ratm_tf.datasets.oracle import bouncing_balls_oracle
    >>> true, known = bouncing_balls_oracle("test", num_frames=5, num_sequences=9)
    >>> np.array_equal(true[:, 2:], known[:, 2:])
    True
    """
    batches = bouncing_balls_sequences(
        split,
        num_frames=num_frames,
        batch_size=_BLOCK,
        num_sequences=num_sequences,
        seed=seed,
    )
    true = np.concatenate([batch["boxes"] for batch in batches])
    return true, _oracle(true, true, true, bouncing_balls.FRAME_SIZE)


def moving_mnist_oracle(
    split, *, num_frames, num_sequences, num_digits=1, seed=0, frame_size=FRAME_SIZE
):
    """What can be known of `moving_mnist_sequences`.

    It knows the digits' positions before they are rounded to pixels, and of two digits
    the one that is no target, too.

    Args:
        split: "train" or "test".
        num_frames: frames per sequence, T.
        num_sequences: how many, S.
        num_digits: 1 or 2.
        seed: integer, chooses the collection of sequences.
        frame_size: (height, width) of the canvas in pixels.

    Returns:
        `(true, known)`, float32 boxes of shape [S, T, 4], the target's and the
        oracle's, as (x1, y1, x2, y2) in pixels.

    Raises:
        ValueError: an argument is out of its range.

    Example:
    >>> from ratm_tf.datasets.oracle import moving_mnist_oracle
    >>> true, known = moving_mnist_oracle("test", num_frames=5, num_sequences=9)
    >>> bool(np.all(np.abs(true - known)[:, 2:] <= 2.0))
    True
    """
    num_frames = integer("num_frames", num_frames, at_least=1)
    num_digits = one_of("num_digits", num_digits, (1, 2))
    drawn, move, foresee = motion(
        one_of("split", split, SPLITS),
        num_frames=num_frames,
        num_digits=num_digits,
        seed=integer("seed", seed),
        frame_size=frame_size,
        num_images=1,  # whatever they show
    )

    @tf.function
    def targets(*start):
        shape = [-1, num_frames, num_digits, 2]
        return [tf.reshape(of(*start), shape)[:, :, 0] for of in (move, foresee)]

    batches = sequence_indices(0, num_sequences).map(drawn).batch(_BLOCK)
    paths, ahead = zip(*(targets(*start) for _, *start in batches), strict=True)
    paths, ahead = np.concatenate(paths), np.concatenate(ahead)
    true, past, known = map(_cells, (np.round(paths), paths, ahead))
    return true, _oracle(true, past, known, frame_size)


def oracle_iou(true, known, spans):
    """Mean IoU of an oracle, by the names of `ratm_tf.evaluate`.

    Args:
        true: boxes [S, T, 4], the targets'.
        known: boxes [S, T, 4], the oracle's.
        spans: list of `(first, last)` frames, from 1 and both included.

    Returns:
        Dict of floats in 0..1 by name: `oracle_iou_1_10` for the span `(1, 10)`.

    Raises:
        ValueError: a span is not within the frames.

    Example:
    >>> from ratm_tf.datasets.oracle import bouncing_balls_oracle, oracle_iou
    >>> boxes = bouncing_balls_oracle("test", num_frames=9, num_sequences=20)
    >>> oracle_iou(*boxes, spans=[(3, 9)])
    {'oracle_iou_3_9': 1.0}
    """
    ious = {}
    for span in spans:
        metric = MeanIoU(frames=span)
        metric.update_state(true, known)
        ious["_".join(["oracle_iou", *map(str, span)])] = float(metric.result())
    return ious


def _cells(corners):
    """The cells of digits whose top-left pixels are at `corners`."""
    return np.concatenate([corners - 0.5, corners + (DIGIT_SIZE - 0.5)], axis=-1)


def _oracle(true, past, ahead, frame_size):
    """What is known of every frame.

    Args:
        true: boxes [S, T, 4].
        past: boxes [S, T, 4], the true ones as exactly as the generator has them.
        ahead: boxes [S, T, 4], what follows from position and velocity a frame before.
        frame_size: (height, width) in pixels.
    """
    known = ahead.copy()
    known[:, 0] = _best_constant(true[:, 0], frame_size)
    known[:, 1:2] = past[:, :1][:, : known.shape[1] - 1]
    return known


def _best_constant(boxes, frame_size):
    """The square in the middle of the frame with the best mean IoU."""
    height, width = frame_size
    middle = np.array([width - 1, height - 1]) / 2
    sides = np.arange(1.0, min(frame_size), 0.1)[:, np.newaxis]
    constant = np.concatenate([middle - sides / 2, middle + sides / 2], axis=-1)
    means = [iou(box, boxes).numpy().mean() for box in constant.astype(np.float32)]
    return constant[np.argmax(means)]
