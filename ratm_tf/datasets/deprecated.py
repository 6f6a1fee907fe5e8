"""Calls of a data set's folder, which was a function once."""

import importlib
import sys
import types
import warnings


class _CallableFolder(types.ModuleType):
    def __call__(self, *args, **kwargs):
        package, _, name = self.__name__.rpartition(".")
        new_name = f"{name}_sequences"
        warnings.warn(
            f"`{self.__name__}(...)` is deprecated. Use `{package}.{new_name}(...)`.",
            DeprecationWarning,
            stacklevel=2,
        )
        function = getattr(importlib.import_module(package), new_name)
        return function(*args, **kwargs)


def make_callable(folder):
    """Lets the package of a data set be called, as README once showed.

    Args:
        folder: its name, such as `ratm_tf.datasets.kth`; calls go to
            `ratm_tf.datasets.kth_sequences` with a `DeprecationWarning`.

    Example:
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     dataset = ratm_tf.datasets.bouncing_balls("test", num_frames=3)
    >>> print(caught[0].message)
    `ratm_tf.datasets.bouncing_balls(...)` is deprecated. Use
    `ratm_tf.datasets.bouncing_balls_sequences(...)`.
    """
    sys.modules[folder].__class__ = _CallableFolder
