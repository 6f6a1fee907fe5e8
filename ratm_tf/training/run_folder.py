"""The folder of a run: whose it is, and that one process at a time writes to it."""

import contextlib
import json
import os
import pathlib

from absl import logging

from ratm_tf.training.provenance import provenance

try:
    import fcntl
except ImportError:  # Windows, where nothing keeps two processes apart
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def run_folder(path, run):
    """Takes a folder for a run, and holds it against other processes.

    The lock dies with its process, however that ends. `run.json` in the folder says
    what run it holds: `run`, and the versions and the commit that it began with.

    Args:
        path: the folder, made if need be.
        run: dict of JSON values that tell one run from another.

    Yields:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: if it holds another run, or `run` is not JSON.
        RuntimeError: if another process is at work there.

    Example:
    >>> import tempfile
    >>> with run_folder(tempfile.mkdtemp(), {"seed": 0}) as folder:
    ...     sorted(path.name for path in folder.iterdir())
    ['lock', 'run.json']
    """
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(
                    f"Expected `model_dir` {path} to be free. Another process is "
                    "training there"
                ) from None
        _check(path / "run.json", run)
        yield path


def _check(note, run):
    try:
        # As it will be read again: JSON knows no tuples and no numbers of NumPy.
        run = json.loads(json.dumps(run, default=lambda number: number.item()))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"Expected `run` to be of JSON values. Received: {run!r} ({error})"
        ) from error
    if note.exists():
        try:
            found = json.loads(note.read_text())["run"]
        except (ValueError, KeyError, TypeError) as error:
            aside = note.with_name(f"damaged_{note.name}")
            note.rename(aside)
            logging.warning("%s is damaged (%s): it is now %s", note, error, aside)
        else:
            differences = [
                f"{name}: {found.get(name)!r}, not {run.get(name)!r}"
                for name in found.keys() | run.keys()
                if repr(found.get(name)) != repr(run.get(name))  # NaN is not itself
            ]
            if differences:
                raise ValueError(
                    f"Expected `model_dir` {note.parent} to be new or to hold this "
                    f"run. It holds another run, with {'; '.join(sorted(differences))}"
                )
            return
    write_json(note, {"run": run} | provenance())


def write_json(path, values):
    """Writes JSON values to a file, whole or not at all.

    Args:
        path: a `pathlib.Path`.
        values: JSON values.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "metrics.json"
    >>> write_json(path, {"steps": 3})
    >>> print(path.read_text())
    {
      "steps": 3
    }
    <BLANKLINE>
    """
    text = json.dumps(values, indent=2) + "\n"
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)
