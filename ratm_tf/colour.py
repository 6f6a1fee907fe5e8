"""Grey: one definition, whatever a colour image comes from.

It is OpenCV's (`cv2.cvtColor` to `COLOR_RGB2GRAY` or `COLOR_BGR2GRAY`), the luma of
ITU-R BT.601, `0.299 R + 0.587 G + 0.114 B`, rounded to the nearest integer. Image
libraries that are asked to decode to grey take other roundings, a level apart.
"""

import tensorflow as tf

# The weights of red, green and blue in units of 2**-15, as OpenCV has them.
_WEIGHTS = (9798, 19235, 3735)
_BITS = 15


def grey_from_rgb(images):
    """Turns colour images into grey ones in a graph, to the bit as OpenCV does.

    Args:
        images: uint8 tensor `[..., 3]`, red, green and blue in 0..255.

    Returns:
        uint8 `[..., 1]`.

    Example:
    >>> grey_from_rgb(tf.constant([255, 128, 0], tf.uint8)).numpy()
    array([151], dtype=uint8)
    """
    luma = tf.reduce_sum(tf.cast(images, tf.int32) * _WEIGHTS, axis=-1, keepdims=True)
    rounded = tf.bitwise.right_shift(luma + (1 << _BITS - 1), _BITS)
    return tf.cast(rounded, tf.uint8)
