import struct

import cv2
import numpy as np
import pytest

from ratm_tf.colour import grey_from_rgb
from ratm_tf.datasets.sources.pictures import read_picture
from ratm_tf.export import decode_images


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


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pixels_are_where_they_are_stored(tmp_path, orientation):
    """Whatever EXIF says, here and where graphs decode, so that boxes fit."""
    stored = np.zeros([16, 32, 3], np.uint8)
    stored[:8, :8] = 255
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + segment + jpeg[2:])
    turned = cv2.imread(str(path))
    assert (turned[..., 0].argmax() == stored[..., 0].argmax()) == (orientation == 1)
    for picture in (
        read_picture(path, channels=3),
        decode_images([path.read_bytes()], channels=3)[0].numpy(),
    ):
        np.testing.assert_allclose(picture, stored, atol=3)


def test_what_is_no_picture_is_named(tmp_path):
    path = tmp_path / "0001.jpg"
    for content in (b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"Expected {path} to be a picture that"):
            read_picture(path)
