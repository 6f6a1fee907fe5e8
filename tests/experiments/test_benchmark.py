import json

import pytest


def test_benchmark_of_a_case(run):
    flags = ["--cases=A", "--quantities=f,fw", "--repeats=1", "--threads=1"]
    report = json.loads(run("benchmark.py", "--peers=tf,xla", "--json", *flags).stdout)
    assert report["machine"]
    rows = {(row["setting"], row["quantity"], row["peer"]) for row in report["rows"]}
    assert len(rows) == len(report["rows"]) == 8
    assert all(row["microseconds"] > 0 for row in report["rows"])
    assert all(0 < row["error"] < 1e-5 for row in report["rows"])
    assert {row["threads"] for row in report["rows"]} == {1}


@pytest.mark.slow
def test_benchmark_of_trackers(run):
    parts = [f"--parts={part}" for part in ("balls", "stream", "pipelines")]
    report = json.loads(run("benchmark_tracker.py", "--repeats=1", *parts).stdout)
    for part in ("balls", "stream"):
        assert min(report[part]["tf"]["milliseconds"]) > 0
        assert report[part]["fused"]["ratio to fused"] == [1, 1]
    assert min(report["pipelines"]["mnist"].values()) > 0
