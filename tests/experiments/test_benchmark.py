import json
import pathlib
import subprocess
import sys

import pytest

import ratm_tf

EXPERIMENTS = pathlib.Path(ratm_tf.__file__).parents[1] / "experiments"


def run(program, *flags):
    return subprocess.run(
        [sys.executable, EXPERIMENTS / program, *flags],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_benchmark_of_a_case():
    flags = ["--cases=A", "--quantities=f,fw", "--repeats=1", "--threads=1"]
    report = json.loads(run("benchmark.py", "--peers=tf,xla", "--json", *flags))
    assert report["machine"]
    rows = {(row["setting"], row["quantity"], row["peer"]) for row in report["rows"]}
    assert len(rows) == len(report["rows"]) == 8
    assert all(row["microseconds"] > 0 for row in report["rows"])
    assert all(0 < row["error"] < 1e-5 for row in report["rows"])
    assert {row["threads"] for row in report["rows"]} == {1}


@pytest.mark.slow
def test_benchmark_of_trackers():
    report = json.loads(run("benchmark_tracker.py", "--repeats=1"))
    assert report["Balls"]["tf"]["milliseconds"] > 0
    assert report["streamed frames per second"] > 0
    assert len(report["several targets, milliseconds a frame"]) == 4
