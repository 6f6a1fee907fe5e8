import numpy as np
import pytest

from ratm_tf.datasets.otb.annotations import read_boxes


@pytest.fixture
def boxes(tmp_path):
    return tmp_path / "groundtruth_rect.txt"


@pytest.mark.parametrize(
    "content",
    [
        b"1,2,3,4\n5.5,6,7,8\n",
        b"1\t2\t3\t4\r\n5.5\t6\t7\t8",
        b"\xef\xbb\xbf1,2,3,4,\n5.5,6,7,8,\n\n",
        b" 1, 2, 3, 4 \r\n 5.5  6 7 8 \r\n\r\n",
    ],
)
def test_files_of_all_makers(content, boxes):
    boxes.write_bytes(content)
    read = read_boxes(boxes)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, [[-0.5, 0.5, 2.5, 4.5], [4.0, 4.5, 11.0, 12.5]])


@pytest.mark.parametrize(
    "row",
    [
        b"1,2,3",
        b"1,2,3,4,5",
        b"1,,3,4",
        b"1,2,3,four",
        b"NaN,NaN,NaN,NaN",
        b"1,2,inf,4",
        b"0,0,0,0",
        b"1,2,3,0",
        b"1,2,-3,4",
        b"",
        b"1,2,3,\xb2",
    ],
)
def test_rows_without_a_box_are_named(row, boxes):
    boxes.write_bytes(b"1,2,3,4\n" + row + b"\n1,2,3,4\n")
    with pytest.raises(ValueError) as error:
        read_boxes(boxes)
    expected = f"{boxes}:2: Expected x y w h of a box. Received: {row!r}"
    assert str(error.value) == expected


def test_an_empty_file_is_named(boxes):
    boxes.write_text("\n")
    with pytest.raises(ValueError, match=f"{boxes} to have boxes. Received: none"):
        read_boxes(boxes)
