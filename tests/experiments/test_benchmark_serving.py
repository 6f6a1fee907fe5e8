import json
import pathlib
import subprocess
import sys

import pytest

import ratm_tf

PROGRAM = (
    pathlib.Path(ratm_tf.__file__).parents[1] / "experiments" / "benchmark_serving.py"
)


@pytest.mark.slow
def test_times_all_ways_to_call(tmp_path):
    path = tmp_path / "figures.json"
    result = subprocess.run(
        [sys.executable, PROGRAM, "--ops=tf", "--batches=2", "--clients=2"]
        + ["--signatures=track", "--signatures=step", "--frames=2"]
        + ["--repeats=1", "--seconds=0.05", f"--json={path}"],
        check=True,
        capture_output=True,
        text=True,
    )
    head, _, *rows = result.stdout.splitlines()
    columns = [column.strip() for column in head.strip("|").split("|")]
    assert columns[-3:] == ["in process", "gRPC", "REST"]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:4] for row in cells] == [
        ["tf", "track", "2", "2"],
        ["tf", "step", "2", "2"],
    ]
    assert cells[0][-1] == "" and all("ms" in cell for cell in cells[1][4:])

    figures = json.loads(path.read_text())
    assert [(row["signature"], row["protocol"]) for row in figures] == [
        ("track", "in process"),
        ("track", "gRPC"),
        ("step", "in process"),
        ("step", "gRPC"),
        ("step", "REST"),
    ]
    assert all(
        row["milliseconds"] > 0 and row["frames_per_second"] > 0 for row in figures
    )
