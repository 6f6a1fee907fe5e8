import cv2
import numpy as np

from ratm_tf.colour import grey_from_rgb


def test_grey_is_that_of_opencv():
    """Every third level of each colour, and every level of grey."""
    levels = np.append(np.arange(0, 256, 3), [254]).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    images = colours.reshape([-1, len(levels), 3])
    expected = cv2.cvtColor(images, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(grey_from_rgb(images)[..., 0], expected)
    bgr = np.ascontiguousarray(images[..., ::-1])
    np.testing.assert_array_equal(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), expected)

    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=-1)
    np.testing.assert_array_equal(grey_from_rgb(greys), greys[:, :1])
