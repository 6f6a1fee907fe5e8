import numpy as np
import pytest

from ratm_tf.datasets.annotated.annotations import (
    by_target,
    read_csv,
    read_cvat,
    read_mot,
    read_tb100,
)

BOX = (10.0, 20.0, 4.0, 2.0)


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("frame,x,y,w,h\n7,10,20,4,2\n", ""),
        ("\ufeffFrame; X; Y; Width; Height\r\n7;10;20;4;2\r\n\r\n", ""),
        ('"frame_id"\t"left"\t"top"\t"right"\t"bottom"\n7\t10\t20\t14\t22\n', ""),
        ("bb_left,bb_top,bb_width,bb_height,frame,score\n10,20,4,2,7.0,0.9\n", ""),
        (  # as of TensorFlow's detection: width and height are the picture's
            "filename,width,height,class,xmin,ymin,xmax,ymax\n"
            "frames/b.png,640,480,cat,10,20,14,22\n",
            "cat",
        ),
        ("frame,track_id,label,x,y,w,h\n7,3,cat,10,20,4,2\n", "cat 3"),
        ("frame,x,y,w,h\n6,,,,\n7,10,20,4,2\n8,nan,NaN,nan,nan\n", ""),
    ],
)
def test_tables_of_all_makers(content, target, tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text(content, encoding="utf-8", newline="")
    pictures = [f"{letter}.png" for letter in "tuvwxyz"] + ["b.png"]
    [row] = read_csv(path, pictures)
    assert (row.frame, row.target, row.box) == (7, target, BOX)
    np.testing.assert_array_equal(row.xyxy, [9.5, 19.5, 13.5, 21.5])


def test_frames_may_be_counted_from_another_number(tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text("frame,x,y,w,h\n1,10,20,4,2\n")
    assert [row.frame for row in read_csv(path, first_frame=1)] == [0]
    with pytest.raises(ValueError, match=r"clip.csv:2: .*Received: -1 before it"):
        list(read_csv(path, first_frame=2))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("8,1,2,3", "5 columns. Received: 4"),
        ("8,1,2,x,4", "a number. Received: 'x'"),
        ("8,1,2,,4", "a number. Received: ''"),
        ("8.5,1,2,3,4", "a whole number. Received: '8.5'"),
        ("-1,1,2,3,4", "from the first one on"),
        ("8,1,2,3,0", "a box with an inside"),
        ("8,1,2,inf,4", "a box with an inside"),
    ],
)
def test_bad_rows_are_named(row, fault, tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text(f"frame,x,y,w,h\n7,10,20,4,2\n{row}\n")
    with pytest.raises(ValueError) as error:
        list(read_csv(path))
    assert str(error.value).startswith(f"{path}:3: Expected ")
    assert fault in str(error.value)


@pytest.mark.parametrize(
    "header", ["", "frame,x,y", "x,y,w,h", "7,10,20,4,2", "frame,x,y,x2,h"]
)
def test_headers_without_a_box_are_named(header, tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text(f"{header}\n7,10,20,4,2\n")
    with pytest.raises(ValueError, match=r"clip.csv:1: Expected the columns frame"):
        list(read_csv(path))


def test_unknown_pictures_are_named(tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text("file,x,y,w,h\nb.png,10,20,4,2\n")
    with pytest.raises(ValueError, match=r"clip.csv:2: .*pictures. Received: 'b.png'"):
        list(read_csv(path, ["a.png"]))


def test_targets_are_told_apart(tmp_path):
    path = tmp_path / "clip.csv"
    rows = ["frame,x,y,w,h,id", "2,0,0,5,5,b", "1,1,0,5,5,a", "1,0,0,5,5,b"]
    path.write_text("\n".join(rows))
    targets = by_target(read_csv(path))
    assert {name: [row.frame for row in rows] for name, rows in targets.items()} == {
        "a": [1],
        "b": [1, 2],
    }
    path.write_text("\n".join([*rows, "2,9,9,5,5,b"]))
    with pytest.raises(ValueError, match=r"csv:5: .*one box of 'b'.*another: .*csv:2"):
        by_target(read_csv(path))


def test_mot(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text(
        "8,1,11,21,4,2,1,1,1.0\n\n8,2,11,21,4,2,0,1,1.0\n9, 3, 12, 21, 4, 2\n"
    )
    rows = list(read_mot(path))
    assert [(row.frame, row.target, row.box) for row in rows] == [
        (7, "1", BOX),
        (8, "3", (11.0, 20.0, 4.0, 2.0)),
    ]
    for row, fault in (("8,1,11,21,4", "frame,id"), ("0,1,1,1,4,2", "first one on")):
        path.write_text(f"8,1,11,21,4,2\n{row}\n")
        with pytest.raises(ValueError, match=f"gt.txt:2: Expected .*{fault}"):
            list(read_mot(path))


def test_cvat(tmp_path):
    path = tmp_path / "clip.xml"
    box = '<box frame="{}" xtl="10.0" ytl="20.0" xbr="14.0" ybr="22.0" {}/>'
    path.write_text(
        "<?xml version='1.0' encoding='utf-8'?><annotations><meta/>"
        '<track id="0" label="cat">'
        + box.format(7, 'outside="0"')
        + box.format(8, 'outside="1"')
        + '</track><track id="1" label="cat">'
        + box.format(9, "")
        + "</track></annotations>"
    )
    assert [(row.frame, row.target, row.box) for row in read_cvat(path)] == [
        (7, "cat 0", BOX),
        (9, "cat 1", BOX),
    ]
    rotated = box.format(3, "rotation='9'")
    for content, fault in (
        (f"<a><track id='5'>{rotated}</track></a>", "track 5, frame 3: .*not rotated"),
        ("<a><track><box frame='3' xtl='1'/></track></a>", "frame 3: Expected a num"),
        ("<a><image/></a>", "Expected tracks"),
        ("<a>", "Expected XML"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=f"clip.xml: .*{fault}"):
            list(read_cvat(path))


def test_tb100(tmp_path):
    path = tmp_path / "groundtruth_rect.2.txt"
    path.write_text("11\t21\t4\t2\n12,21,4,2\n")
    assert [(row.frame, row.target, row.box) for row in read_tb100(path)] == [
        (0, "2", BOX),
        (1, "2", (11.0, 20.0, 4.0, 2.0)),
    ]
