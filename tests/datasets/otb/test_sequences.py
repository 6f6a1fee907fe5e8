import cv2
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets import otb_sequences

SIZES = {"Runner": (40, 50), "Pair": (30, 20)}


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(0)
    for name, size in SIZES.items():
        (tmp_path / name / "img").mkdir(parents=True)
        for number in (1, 2, 3):
            frame = random.integers(0, 256, [*size, 3], np.uint8)
            cv2.imwrite(str(tmp_path / name / "img" / f"{number:04d}.png"), frame)
    (tmp_path / "Runner" / "groundtruth_rect.txt").write_text(
        "1,2,3,4\r\n2,2,3,4\n3,2,3,4"
    )
    for target, x in (("", 5), (".1", 5), (".2", 7)):
        rows = "".join(f"{x}\t6\t7  8\n" for _ in range(3))
        (tmp_path / "Pair" / f"groundtruth_rect{target}.txt").write_text(rows)
    return tmp_path


def test_sequences_and_targets(data):
    examples = {e["name"].numpy().decode(): e for e in otb_sequences(data)}
    assert list(examples) == ["Pair.1", "Pair.2", "Runner"]
    runner = examples["Runner"]
    assert runner["frames"].shape == (3, 40, 50, 1)
    np.testing.assert_array_equal(
        runner["boxes"], [[x - 0.5, 0.5, x + 2.5, 4.5] for x in range(3)]
    )
    assert runner["mask"].numpy().tolist() == [True] * 3
    np.testing.assert_array_equal(
        examples["Pair.2"]["initial_box"], [5.5, 4.5, 12.5, 12.5]
    )
    for number in (1, 2, 3):
        path = data / "Runner" / "img" / f"{number:04d}.png"
        grey = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY)
        np.testing.assert_array_equal(runner["frames"][number - 1, ..., 0], grey)
    [pair] = otb_sequences(data, names=["Pair.2"], channels=3)
    np.testing.assert_array_equal(
        pair["frames"][0],
        cv2.imread(str(data / "Pair" / "img" / "0001.png"))[..., ::-1],
    )
    assert len(otb_sequences(data).batch(1)) == 3


@pytest.mark.parametrize("name", ["David", "david"])
def test_boxes_that_begin_later_and_end_sooner(data, name):
    """The benchmark's David: boxes are those of the frames 300 to 770."""
    (data / "Runner").rename(data / name)
    image = (data / name / "img" / "0001.png").read_bytes()
    for number in range(1, 781):
        (data / name / "img" / f"{number:04d}.png").write_bytes(image)
    for number in (300, 770):
        marked = np.full([40, 50, 3], number // 10, np.uint8)
        cv2.imwrite(str(data / name / "img" / f"{number:04d}.png"), marked)
    (data / name / "groundtruth_rect.txt").write_text("1 2 3 4\n" * 471)
    [david] = otb_sequences(data, names=[name])
    frames = david["frames"].numpy()
    assert len(frames) == 471
    assert (frames[0] == 30).all() and (frames[-1] == 77).all()


def test_what_systems_and_archives_leave_behind_is_no_sequence(data):
    for name in (".git", "__MACOSX", ".DS_Store"):
        (data / name).mkdir()
    (data / ".localized").touch()
    (data / "Pair" / "img" / ".DS_Store").touch()
    (data / "Pair" / "img" / "._0001.png").touch()
    (data / "Pair" / "img" / "Thumbs.db").touch()
    names = [e["name"] for e in otb_sequences(data).as_numpy_iterator()]
    assert names == [b"Pair.1", b"Pair.2", b"Runner"]


def test_faults_are_named(data):
    boxes = data / "Runner" / "groundtruth_rect.txt"
    for count, line in ((4, 4), (2, 3)):
        boxes.write_text("1,2,3,4\n" * count)
        match = f"{boxes}:{line}: .*0001.png..0003.png. Received: {count} for 3"
        with pytest.raises(tf.errors.InvalidArgumentError, match=match):
            list(otb_sequences(data, names=["Runner"]))
    with pytest.raises(
        FileNotFoundError, match="Nobody/groundtruth_rect.txt, which is missing"
    ):
        otb_sequences(data, names=["Nobody"])
    with pytest.raises(ValueError, match="`channels` to be one of 1, 3. Received: 2"):
        otb_sequences(data, channels=2)
