import cv2
import numpy as np
import pytest

from ratm_tf.datasets.otb.frames import find_frames, read_frames


@pytest.fixture
def runner(tmp_path):
    (tmp_path / "Runner" / "img").mkdir(parents=True)
    return tmp_path / "Runner"


def add(folder, *names):
    for name in names:
        (folder / "img" / name).touch()


def test_pictures_are_in_the_order_of_their_numbers(runner):
    add(runner, "8.jpg", "9.JPG", "10.jpeg", "img11.png", "notes.txt", ".12.jpg")
    names = [path.name for path in find_frames(runner)]
    assert names == ["8.jpg", "9.JPG", "10.jpeg", "img11.png"]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "Expected pictures in .*img. Received: none"),
        (["1.jpg", "2.jpg", "4.jpg"], "Expected a picture 3 in .*img, the frame 3."),
        (["7.jpg", "9.jpg"], "Expected a picture 8 in .*img, the frame 2."),
        (["1.jpg", "2.jpg", "0002.jpg"], "number of their own. Received: 2.jpg"),
        (["1.jpg", "1 copy.jpg"], "number of their own. Received: 1 copy.jpg"),
        (["1.jpg", "cover.png"], "number of their own. Received: cover.png"),
    ],
)
def test_missing_and_extra_pictures_are_named(runner, names, complaint):
    add(runner, *names)
    with pytest.raises(ValueError, match=complaint):
        find_frames(runner)


def test_sequences_of_which_a_part_has_boxes(tmp_path):
    """As the benchmark's pages say."""
    expected = {"Diving": (1, 215), "Football1": (1, 74), "Freeman3": (1, 460)}
    for name, (first, last) in expected.items():
        (tmp_path / name / "img").mkdir(parents=True)
        add(tmp_path / name, *(f"{number:04d}.jpg" for number in range(1, 501)))
        numbers = [int(path.stem) for path in find_frames(tmp_path / name)]
        assert numbers == list(range(first, last + 1))


def test_pictures_are_read_as_they_are(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, [4, 5, 3], np.uint8)
    paths = [tmp_path / f"{number}.png" for number in (1, 2)]
    for path in paths:
        cv2.imwrite(str(path), picture)
    np.testing.assert_array_equal(read_frames(paths, 3), [picture[..., ::-1]] * 2)
    assert read_frames(paths, 1).shape == (2, 4, 5, 1)

    cv2.imwrite(str(paths[1]), picture[1:])
    with pytest.raises(ValueError, match=r"2.png to have .*\(4, 5\) .*\(3, 5\)"):
        read_frames(paths, 1)
    paths[1].write_bytes(b"no picture")
    with pytest.raises(ValueError, match="2.png to be a picture that OpenCV reads"):
        read_frames(paths, 1)
