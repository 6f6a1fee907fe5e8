import logging

import pytest

from ratm_tf.datasets.kth.annotations import BadSequence, read_annotations
from tests.datasets.kth.clips import BOX_FILE, replace


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1 1 4 1 1 2 31 21 90", "8 coordinates.*Received: 3"),
        (
            "1 1 4 1 1 1 31 21 90 x",
            "whole numbers only. Received: x",
        ),
        ("1 1 4 1 1 1 31 21 90 -4", "whole numbers only. Received: -4"),
        ("1 1 4 1 1 1 31 21 90 4\xe9", r"whole numbers only. Received: 4\\xe9"),
        ("1 1 4 1 1 1 31 21 90 " + 5000 * "4", "whole numbers only. Received: 4{20}$"),
        ("1 1 4 1 1 999999999 31 21 90 44", "3999999996 coordinates.*Received: 4"),
        ("1 1 4", "at least 6 numbers. Received: 3"),
        ("26 1 4 1 1 1 31 21 90 44", "a person of 1..25. Received: 26"),
        ("1 1 7 1 1 1 31 21 90 44", "an action of 1..6. Received: 7"),
        ("1 1 4 1 5 4", "frames in order. Received: 5 to 4"),
        (
            "1 1 4 1 3 4 31 21 90 44 31 44 90 21",
            r"from 1 on. Received: others in frames \[4\]",
        ),
    ],
)
def test_a_bad_row_is_named_or_skipped(data, row, complaint, caplog):
    path = data / BOX_FILE
    replace(path, 6, row)
    with pytest.raises(BadSequence, match=f"{path}:6: .*{complaint}"):
        list(read_annotations(path))
    with caplog.at_level(logging.WARNING):
        assert len(list(read_annotations(path, skip_bad=True))) == 3
    assert f"{path}:6" in caplog.text
