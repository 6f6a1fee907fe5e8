"""Keeps TensorFlow's log out of what a program prints."""

import contextlib
import importlib.abc
import importlib.util
import os
import sys

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def keep_tensorflow_quiet():
    """Has TensorFlow log nothing once it is imported, and while it is.

    Not where the environment variable `TF_CPP_MIN_LOG_LEVEL` says what is wanted: 0 for
    all of the log. What goes wrong is an exception anyway.
    """
    if _LEVEL not in os.environ:
        os.environ[_LEVEL] = "3"
        sys.meta_path.insert(0, _QuietImport())


class _QuietImport(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as ever, and silences its import.

    Its libraries write some lines as they load, before they know of a level.
    """

    def find_spec(self, name, path=None, target=None):
        """Returns the specification of TensorFlow, once."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            load = spec.loader.exec_module

            def load_quietly(module):
                with _no_standard_error():
                    load(module)

            spec.loader.exec_module = load_quietly
        return spec


@contextlib.contextmanager
def _no_standard_error():
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
