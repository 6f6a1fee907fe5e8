"""`predict` for arrays, of which video has large ones."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def are_arrays(inputs: Mapping[str, Any]) -> bool:
    """Whether all inputs are arrays, of so many examples.

    Args:
        inputs: dict by name.

    Returns:
        A bool.

    Example:
    >>> are_arrays({"frames": np.zeros([2, 3]), "initial_box": np.zeros([2, 4])})
    True
    >>> are_arrays({"frames": tf.data.Dataset.range(3)})
    False
    """
    return all(
        isinstance(array, np.ndarray) and array.ndim > 0 for array in inputs.values()
    )


def predict_arrays(
    model: keras.Model,
    arrays: Mapping[str, np.ndarray],
    batch_size: int,
    verbose: str | int,
    callbacks: list[keras.callbacks.Callback] | None,
) -> dict[str, np.ndarray]:
    """What `keras.Model.predict` gives for arrays, batch by batch.

    Keras copies all inputs before the first batch, and all outputs twice after the last
    one, which takes longer than a small tracker.

    Args:
        model: a Keras model whose outputs are a dict.
        arrays: dict by name, of at least one example.
        batch_size: examples in a batch.
        verbose: as in `keras.Model.predict`.
        callbacks: likewise.

    Returns:
        Dict of arrays.

    Raises:
        ValueError: if there are no examples, or not as many of each.

    Example:
    >>> tracker = ratm_tf.load_pretrained("bouncing_balls")
    >>> arrays = {"frames": np.zeros([3, 5, 20, 20, 1])}
    >>> outputs = predict_arrays(tracker, arrays, 2, 0, None)
    >>> outputs["boxes"].shape
    (3, 5, 4)
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    count = min(lengths.values(), default=0)
    if count == 0 or set(lengths.values()) != {count}:
        raise ValueError(
            f"Expected as many examples of each input, at least 1. Received: {lengths}"
        )
    starts = range(0, count, batch_size)
    told = keras.callbacks.CallbackList(
        callbacks,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=1,
        steps=len(starts),
        model=model,
    )
    model.make_predict_function()
    model.stop_predicting = False
    told.on_predict_begin()
    outputs: dict[str, np.ndarray] = {}
    for step, start in enumerate(starts):
        told.on_predict_batch_begin(step)
        part = slice(start, start + batch_size)
        # This makes one copy, where `tf.constant` makes two.
        batch = {
            name: tf.raw_ops.Identity(input=array[part])
            for name, array in arrays.items()
        }
        found = model.predict_function([(batch,)])
        for name, values in found.items():
            if step == 0:
                dtype = values.dtype.as_numpy_dtype
                outputs[name] = np.empty([count, *values.shape[1:]], dtype)
            outputs[name][part] = values
        told.on_predict_batch_end(step, {"outputs": found})
        if model.stop_predicting:
            outputs = {name: values[: part.stop] for name, values in outputs.items()}
            break
    told.on_predict_end()
    return outputs
