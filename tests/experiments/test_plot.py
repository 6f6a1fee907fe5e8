import json
import subprocess

import cv2
import numpy as np
import pytest

from ratm_tf import one_pass


@pytest.fixture
def recorded(tmp_path):
    """Two sequences of TB-100 without pictures, and the results of two trackers."""
    good, lost = tmp_path / "results" / "good", tmp_path / "results" / "lost"
    for name, length in (("Couple", 8), ("Girl", 5)):
        folder = tmp_path / "otb" / name
        folder.mkdir(parents=True)
        rows = "\n".join(f"{5 + number} 6 20 25" for number in range(length))
        (folder / "groundtruth_rect.txt").write_text(rows)
        true = [[3.5 + t, 4.5, 23.5 + t, 29.5] for t in range(length)]
        one_pass.write_results(good / f"{name}.txt", true)
        one_pass.write_results(lost / f"{name}.txt", np.array(true) + 100)
    return tmp_path


def test_plots_what_was_written(run, recorded):
    good, lost = recorded / "results" / "good", recorded / "results" / "lost"
    options = {
        "otb_dir": recorded / "otb",
        "results": f"{good},{lost}",
        "output": recorded / "plots" / "curves.png",
    }
    printed = json.loads(run("plot.py", **options).stdout)
    assert printed["sequences"] == 2
    assert printed["trackers"][str(good)]["success_auc"] == 0.952
    # Of each sequence, the first frame was found.
    assert printed["trackers"][str(lost)]["iou"] == round((1 / 8 + 1 / 5) / 2, 3)
    picture = cv2.imread(str(options["output"]))
    assert picture.shape == (400, 800, 3) and picture.std() > 10

    options |= {"names": "Girl", "kind": "frames", "frames": 4}
    printed = json.loads(run("plot.py", **options).stdout)
    assert printed["sequences"] == 1
    assert printed["trackers"][str(lost)]["iou"] == 0.25
    assert (cv2.imread(str(options["output"])) != picture).any()

    (lost / "Girl.txt").unlink()
    with pytest.raises(subprocess.CalledProcessError) as error:
        run("plot.py", **options)
    assert "Girl.txt" in error.value.stderr and "Traceback" not in error.value.stderr
