"""Downloads that Keras shares but waits for no longer than they deserve."""

import hashlib
import http.client
import os
import pathlib
import shutil
import urllib.request

_TIMEOUT_SECONDS = 10


def download(url, name, sha256=None):
    """Downloads a file to where `keras.utils.get_file` would, unless it is there.

    Keras waits without a limit where a network swallows what is sent.

    Args:
        url: where the file is.
        name: its name in Keras's folder `datasets`.
        sha256: optional hash that it must have; a file of another is fetched again.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        OSError: the download fails, or has another hash; a server that says nothing
            for 10 seconds fails.

    Example:
    >>> import pathlib, tempfile
    >>> from ratm_tf.datasets.sources.download import download
    >>> there = pathlib.Path(tempfile.mkdtemp(), "there.txt")
    >>> _ = there.write_text("hello")
    >>> download(there.as_uri(), name="here.txt").read_text()
    'hello'
    """
    home = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    path = home / "datasets" / name
    if path.exists() and sha256 in (None, _sha256(path)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{name}.{os.getpid()}")
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response,
            aside.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
        if sha256 not in (None, _sha256(aside)):
            raise OSError(
                f"Expected {url} to have the SHA-256 hash {sha256}. "
                f"Received: {_sha256(aside)}"
            )
        return aside.replace(path)
    except http.client.HTTPException as error:
        raise OSError(f"Expected the whole of {url}. Received: {error!r}") from error
    finally:
        aside.unlink(missing_ok=True)


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
