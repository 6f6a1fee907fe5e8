"""Small trackers, and what their exports are asked."""

import cv2
import keras
import numpy as np
import tensorflow as tf

import ratm_tf


def smooth_video(*shape):
    """Noise without the sharp edges that magnify rounding errors from step to step."""
    noise = np.random.default_rng(0).random([*shape, 1], np.float32)
    frames = [
        cv2.GaussianBlur(frame, (0, 0), 2) for frame in noise.reshape(-1, *shape[2:])
    ]
    frames = np.reshape(frames, noise.shape)
    return np.uint8(255 * (frames - frames.min()) / np.ptp(frames))


VIDEO = smooth_video(2, 5, 20, 24)
BOX = np.float32([[2.5, 3.5, 12.5, 11.5], [0.0, 1.0, 9.0, 8.0]])
KINDS = ["learned", "given"]


def tracker_of_kind(kind, recurrent_cell=None):
    """A small tracker whose windows move."""
    keras.utils.set_random_seed(0)
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=recurrent_cell or keras.layers.GRUCell(8),
            glimpse_size=(8, 8),
            initial_window=kind,
        )
    )
    tracker.build({"frames": (None, None, None, None, 1)})
    tracker.cell.window.kernel.assign(tracker.cell.window.kernel * 20)
    return tracker


def initial_box(kind, box=BOX):
    return {"initial_box": box} if kind == "given" else {}


def encoded(frames):
    """PNG files, which lose nothing, of frames [..., H, W, C]."""
    flat = frames.reshape(-1, *frames.shape[-3:])
    files = [tf.io.encode_png(frame).numpy() for frame in flat]
    return np.array(files, object).reshape(frames.shape[:-3])


def stream(signatures, video, kind, step="step"):
    """The outputs of `track`, frame by frame."""
    height, width = VIDEO.shape[2:4]
    states = signatures["start"](
        frame_size=tf.constant([[height, width]] * len(video)),
        **{name: tf.constant(box) for name, box in initial_box(kind).items()},
    )
    outputs = []
    for frame in np.moveaxis(video, 1, 0):
        output = signatures[step](frame=tf.constant(frame), **states)
        outputs.append([output[n] for n in ("boxes", "corner_boxes", "windows")])
        states = {name: output[name] for name in states}
    return [np.stack(sequence, axis=1) for sequence in zip(*outputs, strict=True)]
