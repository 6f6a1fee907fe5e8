import subprocess

import pytest

from tests.experiments.test_pretrain_target_features import DRAWN


def test_data_are_needed(run):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run("train_targets.py")
    assert "--cutouts_path" in failed.value.stderr


def test_features_that_are_not_there_are_named(run, tmp_path):
    flags = {"cutouts_path": DRAWN / "cutouts", "model_dir": tmp_path}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run("train_targets.py", features=tmp_path / "none.keras", **flags)
    assert "none.keras" in failed.value.stderr
