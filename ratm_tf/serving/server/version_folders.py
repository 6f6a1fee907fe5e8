"""The numbered folders in which a model's versions lie."""

import pathlib

MOST_VERSION = 2**63 - 1
"""The largest number of a version: TensorFlow Serving's messages hold 64 bits."""


def version_folders(directory):
    """Finds the versions of a model.

    Args:
        directory: the model's folder. It may be missing.

    Returns:
        Dict of `pathlib.Path` by the version's number. Names that are not decimal
        numbers in 0..`MOST_VERSION` are no versions.

    Example:
    >>> import tempfile
    >>> directory = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("1", "10", "new", "9" * 20):
    ...     (directory / name).mkdir()
    >>> sorted(version_folders(directory))
    [1, 10]
    """
    folders = {}
    for path in sorted(pathlib.Path(directory).glob("*/")):
        name = path.name
        # The length first: Python refuses to read thousands of digits.
        if name.isascii() and name.isdecimal() and len(name) < 20:
            if int(name) <= MOST_VERSION and path.is_dir():
                folders[int(name)] = path
    return folders
