import os
import pathlib
import subprocess
import sys
from importlib import metadata

import pytest

from ratm_tf.cli import main, programs

COMMAND = "import sys; from ratm_tf.cli.main import main; sys.exit(main())"
NO_TENSORFLOW = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; "


def run(*arguments, before=""):
    return subprocess.run(
        [sys.executable, "-c", before + COMMAND, *arguments],
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
        capture_output=True,
        text=True,
    )


def test_every_program_has_its_words():
    there = {path.stem for path in pathlib.Path(programs.__path__[0]).glob("*.py")}
    assert sorted(main.PROGRAMS.values()) == sorted(there - {"__init__"})


@pytest.mark.parametrize("arguments", [(), ("--help",), ("train",), ("train", "-h")])
def test_lists_the_commands(arguments):
    result = run(*arguments, before=NO_TENSORFLOW)
    assert result.returncode == 0 and result.stderr == ""
    listed = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    begin = "train" if "train" in arguments else ""
    expected = [name for name in main.PROGRAMS if name.startswith(begin)]
    assert [line[2:].partition("  ")[0] for line in listed] == expected
    assert all(line.endswith(".") for line in listed)


@pytest.mark.parametrize("name", ["track", "train", "train mnist", "demo"])
def test_help_is_the_programs(name):
    result = run(*name.split(), "--help", before=NO_TENSORFLOW)
    assert f"\nratm-tf {name}:\n" in result.stdout
    flags = {
        "track": "video",
        "train": "data",
        "train mnist": "digits",
        "demo": "output",
    }
    assert f"  --{flags[name]}: " in result.stdout


def test_says_its_version():
    assert run("--version").stdout.strip() == metadata.version("ratm-tf")


@pytest.mark.parametrize("arguments", [("fly",), ("train", "dogs"), ("--fly",)])
def test_other_commands_are_refused(arguments):
    result = run(*arguments)
    assert result.returncode == 1 and not result.stdout
    assert result.stderr.startswith("Error: Expected one of the commands")
    assert arguments[-1] in result.stderr


def test_runs_a_program_quietly():
    result = run("doctor")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith("python ")
    result = run("track", "--model=nothing.keras", "--video=0")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ") and "nothing.keras" in result.stderr
