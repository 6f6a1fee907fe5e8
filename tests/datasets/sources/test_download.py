import hashlib
import http.client
import io
import socket
import urllib.request

import keras
import pytest

from ratm_tf.datasets.sources import download as module
from ratm_tf.datasets.sources.download import download

CONTENT = b"a file"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def origin(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    file = tmp_path / "origin.txt"
    file.write_bytes(CONTENT)
    return file


def test_a_file_is_fetched_once_to_where_keras_looks(origin, tmp_path):
    path = download(origin.as_uri(), "a.txt", SHA256)
    assert path.read_bytes() == CONTENT
    options = {"cache_dir": tmp_path / "keras", "file_hash": SHA256}
    keras_path = keras.utils.get_file("a.txt", "file:///nowhere", **options)
    assert path.samefile(keras_path)
    origin.unlink()
    assert download(origin.as_uri(), "a.txt", SHA256) == path
    assert download(origin.as_uri(), "a.txt") == path
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_a_damaged_file_is_fetched_again(origin):
    path = download(origin.as_uri(), "a.txt", SHA256)
    path.write_bytes(b"a fi")
    assert download(origin.as_uri(), "a.txt", SHA256).read_bytes() == CONTENT


def test_what_is_something_else_is_not_kept(origin, tmp_path):
    origin.write_bytes(b"something else")
    with pytest.raises(OSError, match=f"origin.txt to have .* {SHA256}. Received"):
        download(origin.as_uri(), "a.txt", SHA256)
    assert not list((tmp_path / "keras" / "datasets").iterdir())


def test_a_part_is_not_kept(origin, tmp_path, monkeypatch):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise http.client.IncompleteRead(b"a ")

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Broken())
    with pytest.raises(OSError, match="Expected the whole of file:.*IncompleteRead"):
        download(origin.as_uri(), "a.txt")
    assert not list((tmp_path / "keras" / "datasets").iterdir())


def test_a_server_that_says_nothing_is_given_up(origin, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.1)
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match="timed out"):
            download(f"http://127.0.0.1:{port}/a.txt", "a.txt")
    assert socket.getdefaulttimeout() == before
