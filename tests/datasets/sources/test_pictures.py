import cv2
import numpy as np
import pytest

from ratm_tf.colour import grey_from_rgb
from ratm_tf.datasets.sources.pictures import read_picture


def test_grey_is_the_trackers_own(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, [40, 50, 3], np.uint8)
    path = tmp_path / "lossless.png"
    cv2.imwrite(str(path), rgb[..., ::-1])
    np.testing.assert_array_equal(read_picture(path, channels=3), rgb)
    grey = read_picture(path)
    assert grey.shape == (40, 50, 1) and grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, grey_from_rgb(rgb))
    cv2.imwrite(str(path), grey)
    np.testing.assert_array_equal(read_picture(path), grey)


def test_what_is_no_picture_is_named(tmp_path):
    path = tmp_path / "0001.jpg"
    for content in (b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"Expected {path} to be a picture that"):
            read_picture(path)
