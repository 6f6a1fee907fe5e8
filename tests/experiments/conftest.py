import pathlib
import subprocess
import sys

import pytest

import ratm_tf

EXPERIMENTS = pathlib.Path(ratm_tf.__file__).parents[1] / "experiments"


@pytest.fixture
def run():
    """Runs a program of the experiments with flags."""

    def run(program, **flags):
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        return subprocess.run(
            [sys.executable, EXPERIMENTS / program, *arguments],
            check=True,
            capture_output=True,
            text=True,
        )

    return run
