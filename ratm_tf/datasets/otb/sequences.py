"""The sequences of TB-100, as a `tf.data` pipeline."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.arguments import one_of
from ratm_tf.datasets.otb.annotations import read_boxes
from ratm_tf.datasets.otb.frames import find_frames, read_frames
from ratm_tf.types import Path


def otb_sequences(
    data_dir: Path, names: Sequence[str] | None = None, channels: int = 1
) -> tf.data.Dataset:
    """Builds the benchmark's sequences, each whole and of its own size.

    A sequence with several targets (`groundtruth_rect.1.txt`, ...) comes once for each.

    Args:
        data_dir: folder of the sequences, such as `Jogging`, each with its frames in
            `img` and `groundtruth_rect.txt`.
        names: sequences to read, `"Jogging"` for all its targets or `"Jogging.2"` for
            one, in a list or alone. Default: all folders of `data_dir`, but for hidden
            ones and `__MACOSX`.
        channels: 1 for grey frames, 3 for RGB.

    Returns:
        A finite `tf.data.Dataset` of dicts; batch them one by one, since their sizes
        differ:

        - `frames`: uint8 of shape [T, H, W, channels], 0..255;
        - `boxes`: float32 of shape [T, 4], (x1, y1, x2, y2) in pixels, edges included;
        - `mask`: bool of shape [T], all of it True: each frame has a box;
        - `initial_box`: float32 of shape [4], the first one;
        - `name`: string scalar, such as `Jogging.2`.

    Raises:
        FileNotFoundError: a sequence or its boxes are missing.
        ValueError: a file cannot be read or boxes and frames do not match, with file
            and line; on iteration, as `tf.errors.InvalidArgumentError`.

    Example:
    >>> from ratm_tf.datasets import otb_sequences
    >>> otb_sequences("/nowhere", names=["Jogging.2"])
    Traceback (most recent call last):
    FileNotFoundError: Expected /nowhere/Jogging/groundtruth_rect.2.txt, which is...
    """
    one_of("channels", channels, (1, 3))
    targets = find_targets(data_dir, names)

    def sequences():
        for name, folder, file in targets:
            boxes, paths = read_boxes(file), find_frames(folder)
            if len(boxes) != len(paths):
                line = min(len(boxes), len(paths)) + 1
                raise ValueError(
                    f"{file}:{line}: Expected a box for each of {paths[0].name}.."
                    f"{paths[-1].name}. Received: {len(boxes)} for {len(paths)}"
                )
            yield {
                "frames": read_frames(paths, channels),
                "boxes": boxes,
                "mask": np.ones(len(boxes), bool),
                "initial_box": boxes[0],
                "name": name,
            }

    dataset = tf.data.Dataset.from_generator(
        sequences,
        output_signature={
            "frames": tf.TensorSpec([None, None, None, channels], tf.uint8),
            "boxes": tf.TensorSpec([None, 4], tf.float32),
            "mask": tf.TensorSpec([None], tf.bool),
            "initial_box": tf.TensorSpec([4], tf.float32),
            "name": tf.TensorSpec([], tf.string),
        },
    )
    return dataset.apply(tf.data.experimental.assert_cardinality(len(targets)))


def find_targets(data_dir, names=None):
    """Finds the benchmark's targets.

    Args:
        data_dir: see `otb_sequences`.
        names: likewise.

    Returns:
        List of `(name, folder, box file)`.

    Raises:
        FileNotFoundError: a sequence or its boxes are missing.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.otb.sequences import find_targets
    >>> folder = pathlib.Path(tempfile.mkdtemp(), "Couple")
    >>> folder.mkdir()
    >>> (folder / "groundtruth_rect.txt").touch()
    >>> [name for name, _, _ in find_targets(folder.parent)]
    ['Couple']
    """
    data_dir = pathlib.Path(data_dir)
    if names is None:
        folders = [path.name for path in data_dir.iterdir() if path.is_dir()]
        names = sorted(name for name in folders if name[0] not in "._")
    elif isinstance(names, str):
        names = [names]
    return [target for name in names for target in _targets(data_dir, name)]


def _targets(data_dir, name):
    folder_name, _, number = name.partition(".")
    folder = data_dir / folder_name
    numbered = sorted(folder.glob(f"groundtruth_rect.{number or '[0-9]'}.txt"))
    if numbered:
        return [
            (f"{folder_name}.{file.name.split('.')[1]}", folder, file)
            for file in numbered
        ]
    file = folder / f"groundtruth_rect{'.' * bool(number)}{number}.txt"
    if not file.exists():
        raise FileNotFoundError(f"Expected {file}, which is missing.")
    return [(name, folder, file)]
