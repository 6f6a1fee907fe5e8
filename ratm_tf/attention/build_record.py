"""What the op library was built from: a JSON file beside it.

It imports nothing of the package: `ratm_tf.build` runs it without TensorFlow.
"""

import hashlib
import json
import pathlib

SUFFIXES = (".bzl", ".cc", ".cu", ".h")
"""The files of custom_ops that the library is built from, its tests excepted."""


def path_of(library):
    """Says where the record of a library lies.

    Args:
        library: path of the library.

    Returns:
        A `pathlib.Path`.

    Example:
    >>> path_of("attention/ops.so").name
    'ops.json'
    """
    return pathlib.Path(library).with_suffix(".json")


def write(library, root, **facts):
    """Writes the record of a library that was just built.

    Args:
        library: path of the library.
        root: the folder that holds `custom_ops`.
        **facts: what else to say of the build, as JSON has it.

    Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write(folder + "/ops.so", folder, tensorflow="2.21.0")
    >>> read(folder + "/ops.so")["tensorflow"]
    '2.21.0'
    """
    record = {**facts, "sources": hash_of_sources(root)}
    path_of(library).write_text(json.dumps(record, indent=2) + "\n")


def read(library):
    """Reads the record of a library.

    Args:
        library: path of the library.

    Returns:
        The facts by name, empty where there is no record: `sources`, a hash of them;
        `tensorflow`, `compiler` and `nvcc`, their versions; `flags`;
        `instruction_sets`; and `gpu_architectures`, compute capabilities such as
        `"90"`, for GPUs from the last one on too.

    Example:
    >>> read("/no/such/library.so")
    {}
    """
    try:
        return json.loads(path_of(library).read_text())
    except FileNotFoundError:
        return {}


def hash_of_sources(root):
    """Hashes what a library is built from.

    Args:
        root: the folder that holds `custom_ops`.

    Returns:
        Hexadecimal digits, the same for the same names and contents of files.

    Example:
    >>> len(hash_of_sources("."))
    64
    """
    folder = pathlib.Path(root) / "custom_ops"
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.suffix in SUFFIXES and name.parts[0] != "tests":
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def staleness(library, root):
    """Says that a library is older than the sources beside it.

    Args:
        library: path of the library.
        root: the folder that holds `custom_ops`, if there is one.

    Returns:
        A sentence, or None where the sources are those of the build or not there.

    Example:
    >>> staleness("/no/such/library.so", "/no/such/checkout")
    """
    built_from = read(library).get("sources")
    if not built_from or not (pathlib.Path(root) / "custom_ops").is_dir():
        return None
    if built_from == hash_of_sources(root):
        return None
    return (
        "The fused Gaussian glimpse was built from other sources than those of "
        "custom_ops now; `ratm-tf build` builds it anew."
    )
