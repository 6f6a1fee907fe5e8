"""The program `export.py`, as a user runs it."""

import pytest
import tensorflow as tf

import ratm_tf
from tests import programs
from tests.experiments.conftest import EXPERIMENTS


def export(**flags):
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    return programs.run(EXPERIMENTS / "export.py", *arguments)


def test_writes_versions_and_configuration(tmp_path):
    folder = tmp_path / "digits"
    for version in ("1", "2"):
        result = export(model="pretrained:moving_mnist", output=folder, dtype="float32")
        assert result.returncode == 0, result.stderr
        assert result.stdout == f"{folder / version}\n"
    start = tf.saved_model.load(folder / "2").signatures["start"]
    units = ratm_tf.load_pretrained("moving_mnist").cell.units
    assert start(frame_size=tf.constant([[9, 9]]))["state_0"].shape == (1, units)
    assert {path.name for path in folder.iterdir()} == {
        *("1", "2", "models.config", "batching.config"),
    }


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"output": "run [best]"}, "path of `directory`"),
        ({"model": "nowhere.keras"}, "nowhere.keras"),
    ],
)
def test_says_what_is_wrong(flags, message, tmp_path):
    result = export(
        **{"model": "pretrained:moving_mnist", "output": tmp_path / "model"} | flags
    )
    assert result.returncode == 1 and not result.stdout
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    (line,) = [line for line in lines if line.startswith("Error: ")]
    assert message in line
