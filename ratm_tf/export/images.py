"""Image files, decoded in a graph."""

import math

import tensorflow as tf

from ratm_tf.colour import grey_from_rgb

MOST_PIXEL_VALUES = 2**27
"""Values of all images of one call together, pixels times the channels of the files:
short files can stand for large images."""


def decode_images(files: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes image files in a graph, and says which do not decode.

    Args:
        files: string tensor `[...]` of JPEG or PNG files, all of the same size.
        channels: 1 or 3, to which images are converted: colour to grey as
            `ratm_tf.colour` has it, and what is transparent shows its colour. Pixels
            stay where they are stored: nothing is turned by EXIF's orientation.

    Returns:
        uint8 `[..., H, W, channels]`.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, if files do not decode or would
            become more than `MOST_PIXEL_VALUES` together, with the index of the first,
            or have different sizes.

    Example:
    >>> picture = tf.io.encode_png(tf.zeros([20, 30, 1], tf.uint8))
    >>> decode_images([[picture] * 3], channels=1).shape
    TensorShape([1, 3, 20, 30, 1])
    """
    files = tf.convert_to_tensor(files)
    flat = tf.reshape(files, [-1])
    count = tf.size(flat, tf.int64)

    def decode(index, file):
        values = _values(file) * tf.cast(count, tf.float64)
        fits = tf.debugging.Assert(values <= MOST_PIXEL_VALUES, [values])
        with tf.control_dependencies([fits]):
            return index, _decoded(file, channels)

    none = tf.data.Dataset.from_tensors(
        (tf.zeros([0], tf.int64), tf.zeros([0, 0, 0, channels], tf.uint8))
    )
    # A data set can go on after a file that does not decode; a map over tensors cannot.
    indices, images = (
        tf.data.Dataset.from_tensor_slices(flat)
        .enumerate()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(tf.maximum(count, 1))
        .concatenate(none)
        .take(1)
        .get_single_element()
    )
    decoded = tf.scatter_nd(indices[:, tf.newaxis], tf.ones_like(indices), [count])
    failed = tf.where(tf.reshape(decoded, tf.shape(files)) == 0)
    message = (
        f"Expected JPEG or PNG images, together of at most {MOST_PIXEL_VALUES} values. "
        "Does not decode, the first by index:"
    )
    all_decoded = tf.size(indices, tf.int64) == count
    with tf.control_dependencies(
        [tf.debugging.Assert(all_decoded, [message, failed[:1]])]
    ):
        shape = tf.concat([tf.shape(files), tf.shape(images)[1:]], axis=0)
        return tf.ensure_shape(
            tf.reshape(images, shape), files.shape + [None, None, channels]
        )


def _decoded(file, channels):
    image = tf.io.decode_image(file, expand_animations=False)

    def from_grey():
        return tf.repeat(image[..., :1], channels, axis=-1)

    def from_colour():
        colour = tf.ensure_shape(image[..., :3], [None, None, 3])
        return colour if channels == 3 else grey_from_rgb(colour)

    decoded = tf.cond(tf.shape(image)[-1] < 3, from_grey, from_colour)
    return tf.ensure_shape(decoded, [None, None, channels])


def _values(file):
    """How many values a file would become, by its header; float64.

    They are without end if it is neither PNG nor JPEG.
    """

    def png():
        header = tf.cast(tf.io.decode_raw(file, tf.uint8, fixed_length=26), tf.float64)
        size = tf.reshape(header[16:24], [2, 4]) * [2.0**24, 2.0**16, 2.0**8, 1.0]
        of_colour_type = tf.constant([1, 1, 3, 3, 2, 3, 4], tf.float64)
        colour_type = tf.cast(tf.minimum(header[25], 6.0), tf.int32)
        return of_colour_type[colour_type] * tf.reduce_prod(tf.reduce_sum(size, axis=1))

    def jpeg():
        shape = tf.image.extract_jpeg_shape(file)
        return tf.reduce_prod(tf.cast(shape, tf.float64))

    def other():
        return tf.constant(math.inf, tf.float64)

    is_png = tf.strings.substr(file, 0, 8) == b"\x89PNG\r\n\x1a\n"
    is_jpeg = tf.strings.substr(file, 0, 3) == b"\xff\xd8\xff"
    return tf.cond(is_png, png, lambda: tf.cond(is_jpeg, jpeg, other))
