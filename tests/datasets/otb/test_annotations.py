import pytest

from ratm_tf.datasets.otb.annotations import read_boxes


def test_faults_are_named(tmp_path):
    boxes = tmp_path / "groundtruth_rect.txt"
    boxes.write_text("1,2,3,4\n1,2,3\n")
    with pytest.raises(ValueError, match=f"{boxes}:2: .*'1,2,3'"):
        read_boxes(boxes)
    boxes.write_text("")
    with pytest.raises(ValueError, match=f"{boxes} to have boxes"):
        read_boxes(boxes)
