import struct

import cv2
import numpy as np
import pytest

from ratm_tf.datasets.annotated.folder import Video
from ratm_tf.datasets.annotated.frames import fitted, read_frames
from tests.datasets.annotated.clips import write_video


def read(path, *pictures, **options):
    return read_frames(Video(path.name, path, pictures, {}), **options)


def test_frames_come_in_their_order(clip):
    frames, scale = read(clip)
    assert frames.shape == (6, 40, 60, 1) and frames.dtype == np.uint8
    levels = 20 * np.arange(6)
    np.testing.assert_allclose(frames[:, 20, 10, 0], levels, atol=2)
    np.testing.assert_allclose(frames[:, 20, 50, 0], levels + 100, atol=2)
    assert scale.tolist() == [1, 1]


@pytest.mark.parametrize(("bits", "layout"), [(8, "420jpeg"), (10, "420p10")])
def test_odd_sizes_and_ten_bits(bits, layout, tmp_path):
    """Raw frames of 33x27, from black to white in the studio's range."""
    path, dtype = tmp_path / "clip.y4m", np.uint8 if bits == 8 else np.uint16
    levels = np.array([16, 71, 126, 180, 235]) << (bits - 8)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W27 H33 F10:1 Ip A1:1 C{layout}\n".encode())
        for level in levels:
            file.write(b"FRAME\n" + np.full([33, 27], level, dtype).tobytes())
            file.write(np.full([2, 17, 14], 128 << (bits - 8), dtype).tobytes())
    frames, _ = read(path)
    assert frames.shape == (5, 33, 27, 1)
    expected = np.broadcast_to([[[0]], [[64]], [[128]], [[191]], [[255]]], [5, 33, 27])
    np.testing.assert_allclose(frames[..., 0], expected, atol=2)


def test_a_varying_rate_gives_every_frame_once(tmp_path):
    animation = cv2.Animation()
    shades = [0, 60, 120, 180, 240]
    animation.frames = [np.full([27, 33, 3], shade, np.uint8) for shade in shades]
    animation.durations = [40, 400, 40, 1000, 40]
    cv2.imwriteanimation(str(tmp_path / "clip.gif"), animation)
    frames, _ = read(tmp_path / "clip.gif")
    # A GIF has 256 colours, few of them grey.
    np.testing.assert_allclose(frames[:, 13, 16, 0], shades, atol=35)
    assert len(np.unique(frames[:, 13, 16, 0])) == 5


def turned(path, degrees):
    """Lets an MP4 say that players are to turn it, clockwise, as phones do."""
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd") + 4
    assert content[header] == 0  # version, on which the places depend
    matrix = {90: [0, 1, -1, 0], 180: [-1, 0, 0, -1], 270: [0, -1, 1, 0]}[degrees]
    a, b, c, d = (one << 16 for one in matrix)
    struct.pack_into(">9i", content, header + 40, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_phones_videos_are_turned(degrees, tmp_path):
    path = write_video(tmp_path / "phone.mp4", code="mp4v")
    upright, _ = read(path)
    frames, _ = read(turned(path, degrees))
    expected = np.rot90(upright, -degrees // 90, axes=(1, 2))
    assert frames.shape == expected.shape
    np.testing.assert_allclose(frames.astype(int), expected, atol=3)


def test_resized_frames_keep_their_proportions():
    picture = np.zeros([50, 100, 3], np.uint8)
    picture[20:30, 40:80] = 200
    for size, (rows, columns) in (((60, 80), (40, 80)), ((100, 300), (100, 200))):
        result, scale = fitted(picture, size)
        assert result.shape == (*size, 3)
        np.testing.assert_allclose(scale, [columns / 100, rows / 50])
        # The bright block lies where its edges do, times the scale.
        y, x = (result[..., 0] > 100).nonzero()
        np.testing.assert_allclose(
            [x.min(), x.max() + 1, y.min(), y.max() + 1],
            np.array([40, 80, 20, 30]) * scale.repeat(2),
            atol=1,
        )
        assert not result[rows:].any() and not result[:, columns:].any()


def test_pictures_are_as_they_are_stored(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, [4, 5, 3], np.uint8)
    paths = [tmp_path / "1.png", tmp_path / "2.png"]
    for path in paths:
        cv2.imwrite(str(path), picture)
    frames, _ = read(tmp_path, *paths, channels=3)
    np.testing.assert_array_equal(frames, [picture[..., ::-1]] * 2)
    cv2.imwrite(str(paths[1]), picture[1:])
    with pytest.raises(ValueError, match=r"one size, \(4, 5\).*\(3, 5\) in frame 1"):
        read(tmp_path, *paths)


def test_what_is_no_video_is_named(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(ValueError, match="clip.mp4 to be a video"):
        read(path)
