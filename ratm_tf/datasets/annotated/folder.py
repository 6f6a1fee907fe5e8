"""Videos in a folder, and the boxes that belong to them."""

import dataclasses
import json
import pathlib
import re

from absl import logging

from ratm_tf.datasets.annotated.annotations import (
    Row,
    by_target,
    read_csv,
    read_cvat,
    read_mot,
    read_tb100,
)
from ratm_tf.datasets.otb.frames import find_frames

_PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_VIDEOS = set(
    ".3gp .avi .gif .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ts .webm .wmv .y4m".split()
)
_PICTURE_FOLDERS = ("img", "img1")  # of TB-100 and of the MOT Challenge


@dataclasses.dataclass(frozen=True)
class Video:
    """A video and the targets in it.

    Attributes:
        name: its path in the folder.
        path: the file, or the folder of its pictures.
        pictures: paths of its pictures in their order; none if it is a file.
        targets: dict of lists of `Row` in the order of their frames, by target; none of
            them is empty.
    """

    name: str
    path: pathlib.Path
    pictures: tuple[pathlib.Path, ...]
    targets: dict[str, list[Row]]


def find_videos(folder, first_frame=0):
    r"""Finds the videos of a folder and of those in it, and reads their boxes.

    Boxes lie beside a video (`clip.csv` or `clip.xml` for `clip.mp4` or for a folder
    `clip` of pictures) or, if it is alone in its folder, in there: a `.csv`, a `.xml`,
    `groundtruth_rect.txt`, or `gt/gt.txt`. Pictures may also be in `clip/img` or
    `clip/img1`; they come in the order of the numbers in their names. Where the folder
    has a `.json` in the form of COCO with `videos`, these are the only ones.

    Args:
        folder: the folder. Hidden files and folders do not count.
        first_frame: the number of the first frame in the column `frame` of a `.csv`.

    Returns:
        Non-empty list of `Video` in the order of their names. Those without boxes are
        left out, with a log.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are no videos with boxes, several files have those of one, or
            a file cannot be understood, by file and line.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.annotated.folder import find_videos
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "clip.mp4").touch()
    >>> _ = (folder / "clip.csv").write_text("frame,x,y,w,h\n0,1,2,3,4\n")
    >>> [video] = find_videos(folder)
    >>> video.name, len(video.targets)
    ('clip.mp4', 1)
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected a folder of videos. Received: {folder}")
    found = [video for path in sorted(folder.glob("*.json")) for video in _coco(path)]
    if not found:
        found = list(_with_boxes_beside(folder, first_frame))
    for video in found:
        if not video.targets:
            logging.warning("Left out %s, which has no boxes", video.path)
    found = sorted((v for v in found if v.targets), key=lambda video: video.name)
    if not found:
        raise ValueError(
            f"Expected videos in {folder} with boxes beside them, such as clip.mp4 "
            "with clip.csv. Received: none"
        )
    return found


def find_video(path, boxes=None):
    r"""Finds one video, and the boxes beside it.

    Args:
        path: a video file, or a folder of pictures, themselves or in its `img` or
            `img1`.
        boxes: the file of its boxes. Default: the one that lies where `find_videos`
            looks for it, if there is one.

    Returns:
        A `Video`, without targets if there are no boxes.

    Raises:
        FileNotFoundError: there is no such video, or no picture in the folder.
        ValueError: several files have its boxes, or a file cannot be understood.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.annotated.folder import find_video
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for number in (9, 10):
    ...     (folder / f"{number}.png").touch()
    >>> _ = (folder / "boxes.csv").write_text("file,x,y,w,h\n10.png,1,2,3,4\n")
    >>> video = find_video(folder)
    >>> [picture.name for picture in video.pictures], video.targets[""][0].frame
    (['9.png', '10.png'], 1)
    """
    path = pathlib.Path(path)
    home = path.parent
    if path.is_dir():
        home = home if path.name in _PICTURE_FOLDERS else path
        places = [path, *(path / name for name in _PICTURE_FOLDERS)]
        path = next((place for place in places if _pictures(place)), None)
        if path is None:
            raise FileNotFoundError(f"Expected pictures in {places[0]}.")
    elif not path.is_file():
        raise FileNotFoundError(f"Expected the video {path}, which is missing.")
    pictures = _pictures(path)
    if boxes is None:
        alone = bool(pictures) or sum(_is_video(each) for each in home.iterdir()) == 1
        files = _boxes_of(home, path, pictures, home.parent, alone)
    else:
        files = [[pathlib.Path(boxes)]]
    return _video(home, path, pictures, home.parent, 0, files)


def _is_video(path):
    return path.suffix.lower() in _VIDEOS


def _pictures(folder):
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in files if path.suffix.lower() in _PICTURES]


def _with_boxes_beside(folder, first_frame):
    for home, at_home in _media(folder).items():
        for path, pictures in at_home.items():
            alone = len(at_home) == 1
            boxes = _boxes_of(home, path, pictures, folder, alone)
            yield _video(home, path, pictures, folder, first_frame, boxes)


def _video(home, path, pictures, folder, first_frame, boxes):
    if len(boxes) > 1:
        names = ", ".join(files[0].name for files in boxes)
        raise ValueError(f"Expected one file of boxes of {path}. Received: {names}")
    files = boxes[0] if boxes else []
    if path.name == "img" and files and _is_tb100(files[0]):
        pictures = find_frames(home)  # Some have boxes of a part only.
    pictures = tuple(sorted(pictures, key=_in_order))
    name = (home if pictures else path).relative_to(folder).as_posix()
    rows = (row for file in files for row in _read(file, pictures, first_frame))
    return Video(folder.name if name == "." else name, path, pictures, by_target(rows))


def _boxes_of(home, path, pictures, folder, alone):
    """Files of a video's boxes, each of them in a list with those of other targets."""
    stem = home if pictures else path.with_suffix("")
    beside = [stem.with_name(stem.name + suffix) for suffix in (".csv", ".xml")]
    boxes = [[file] for file in beside if file.exists() and stem != folder]
    return boxes if boxes or not alone else _boxes_inside(home)


def _media(folder):
    """Video files, and folders of pictures with those, by the folder they are in."""
    media = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part[0] == "." or part == "__MACOSX" for part in parts):
            continue
        suffix = path.suffix.lower()
        if suffix in _VIDEOS:
            media.setdefault(path.parent, {})[path] = []
        elif suffix in _PICTURES:
            inside = path.parent.name in _PICTURE_FOLDERS and path.parent != folder
            home = path.parent.parent if inside else path.parent
            media.setdefault(home, {}).setdefault(path.parent, []).append(path)
    return media


def _boxes_inside(home):
    tb100 = sorted(home.glob("groundtruth_rect*.txt"))
    numbered = [file for file in tb100 if "." in file.stem]  # A target each.
    alone = [*home.glob("*.csv"), *home.glob("*.xml"), *home.glob("gt/gt.txt")]
    return [files for files in (numbered or tb100, *([f] for f in alone)) if files]


def _is_tb100(file):
    return file.name.startswith("groundtruth_rect")


def _read(file, pictures, first_frame):
    if file.suffix == ".csv":
        return read_csv(file, [picture.name for picture in pictures], first_frame)
    if file.suffix == ".xml":
        return read_cvat(file)
    return read_tb100(file) if _is_tb100(file) else read_mot(file)


def _in_order(path):
    """Sorts names by the numbers in them: 9 before 10."""
    words = re.split(r"(\d+)", path.stem)
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def _coco(path):
    """Yields the videos of a JSON in the form of COCO; none if it is another."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not {"videos", "images", "annotations"} <= set(content):
            return
        labels = {c["id"]: c["name"] for c in content.get("categories", [])}
        images = {}
        for image in content["images"]:
            images.setdefault(image["video_id"], []).append(image)
        boxes = {}
        for annotation in content["annotations"]:
            boxes.setdefault(annotation["image_id"], []).append(annotation)
        for video in content["videos"]:
            frames = sorted(images.get(video["id"], []), key=_coco_order)
            rows = (
                Row(
                    f"{path}: annotation {annotation.get('id')}",
                    number,
                    _coco_target(annotation, labels),
                    tuple(map(float, annotation["bbox"])),
                )
                for number, image in enumerate(frames)
                for annotation in boxes.get(image["id"], [])
            )
            yield Video(
                str(video.get("name") or video["file_name"]),
                path,
                tuple(path.parent / image["file_name"] for image in frames),
                by_target(rows),
            )
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: Expected COCO's form of videos, images and annotations. "
            f"Received: {type(error).__name__} {error}"
        ) from error


def _coco_order(image):
    names = ("frame_id", "frame_index")
    number = next((image[name] for name in names if name in image), -1)
    return number, _in_order(pathlib.PurePath(image["file_name"]))


def _coco_target(annotation, labels):
    names = ("track_id", "instance_id")
    number = next((str(annotation[name]) for name in names if name in annotation), "")
    return f"{labels.get(annotation.get('category_id'), '')} {number}".strip()
