"""Image files that decode, and those that do not."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.export.images import decode_images
from tests.export.trackers import VIDEO, encoded, initial_box


@pytest.mark.parametrize(
    "damage", [lambda file: b"no image", lambda file: b"", lambda file: file[:60]]
)
def test_names_the_frame_that_does_not_decode(signatures, kind, damage):
    files = encoded(VIDEO)
    files[1, 3] = damage(files[1, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not decode.*\[\[?1 3"):
        signatures["track_encoded"](frames=tf.constant(files), **initial_box(kind))
    files[:] = damage(files[0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not decode.*\[\[?0 0"):
        signatures["track_encoded"](frames=tf.constant(files), **initial_box(kind))


def png(width, height):
    """A grey PNG file whose header says this size, with the pixels of a small image."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(min(width * height + height, 10_000)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize("encode", [tf.io.encode_png, tf.io.encode_jpeg])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("of_file", [1, 3])
def test_short_files_of_large_images(encode, channels, of_file, monkeypatch):
    """What the files hold is counted, not what becomes of it in the end."""
    monkeypatch.setattr("ratm_tf.export.images.MOST_PIXEL_VALUES", of_file * 3 * 80)
    file = encode(tf.zeros([8, 10, of_file], tf.uint8)).numpy()
    assert decode_images([file] * 3, channels).shape == (3, 8, 10, channels)
    message = rf"at most {of_file * 240} values.*index:\] \[\[0\]\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.function(decode_images)(tf.constant([file] * 4), channels)


@pytest.mark.parametrize("of_file", [1, 2, 3, 4])
def test_channels_of_png(of_file, monkeypatch):
    pixels = np.full([8, 10, of_file], 200, np.uint8)
    file = tf.io.encode_png(pixels).numpy()
    for channels in (1, 3):
        np.testing.assert_array_equal(decode_images([file], channels), 200)
    monkeypatch.setattr("ratm_tf.export.images.MOST_PIXEL_VALUES", of_file * 80 - 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most"):
        decode_images([file], 1)
    monkeypatch.setattr("ratm_tf.export.images.MOST_PIXEL_VALUES", of_file * 80)
    assert decode_images([file], 1).shape == (1, 8, 10, 1)


@pytest.mark.parametrize("size", [(2**31, 2**31), (2**32 - 1, 2**32 - 1), (0, 0)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(tf.errors.InvalidArgumentError, match="not decode"):
        decode_images([png(*size)], channels=1)


def test_other_formats():
    """Whose sizes are not read, so that they have no bound."""
    bitmap = struct.pack("<2sIHHI", b"BM", 58, 0, 0, 54)
    bitmap += struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(4)
    assert tf.io.decode_image(bitmap).shape == (1, 1, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG or PNG"):
        decode_images([bitmap], channels=3)


def test_no_images():
    assert decode_images(np.zeros([2, 0], object), 3).shape == (2, 0, 0, 0, 3)
