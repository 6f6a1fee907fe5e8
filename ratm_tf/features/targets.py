"""Features by which a target is told from what is around it."""

import keras


def target_features(channels: int = 3, filters: int = 32) -> keras.Model:
    """A small network for `ratm_tf.CorrelationCell`: two convolutions.

    Args:
        channels: of the frames, 3 for RGB, 1 for grey.
        filters: maps that it makes.

    Returns:
        A `keras.Model` from `[B, 64, 64, channels]` to `[B, 32, 32, filters]`.

    Example:
    >>> cell = ratm_tf.CorrelationCell(ratm_tf.features.target_features())
    >>> cell.glimpse_shape
    (64, 64, 3)
    """
    return keras.Sequential(
        [
            keras.Input([64, 64, channels]),
            # Each cell of the maps is of the pixels around its middle.
            keras.layers.Conv2D(16, 4, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(filters, 3, padding="same"),
        ],
        name="target_features",
    )
