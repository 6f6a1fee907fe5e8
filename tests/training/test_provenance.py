import subprocess
from importlib import metadata

import keras
import tensorflow as tf

from ratm_tf.training import provenance as module
from ratm_tf.training.provenance import provenance


def test_names_what_computes():
    versions = provenance()["versions"]
    assert versions["tensorflow"] == tf.__version__
    assert versions["keras"] == keras.__version__
    assert versions["ratm-tf"] == metadata.version("ratm-tf")


def test_names_the_commit_and_whether_files_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert provenance()["git"] is None

    def git(*command):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *command],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert provenance()["git"] == {"commit": commit, "changed": False}
    (tmp_path / "file").write_text("two")
    assert provenance()["git"] == {"commit": commit, "changed": True}
