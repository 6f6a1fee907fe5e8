import json

import cv2
import keras
import numpy as np
import pytest


@pytest.fixture(scope="module")
def persons(tmp_path_factory):
    """Patches of noise, with a drawn figure or without."""
    folder = tmp_path_factory.mktemp("persons")
    rng = np.random.default_rng(0)
    for kind in ("positive", "negative"):
        (folder / kind).mkdir()
        for number in range(40):
            patch = rng.integers(60, 120, [128, 64]).astype(np.uint8)
            if kind == "positive":
                cv2.circle(patch, (32, 28), 10, 200, -1)
                cv2.rectangle(patch, (20, 38), (44, 110), 200, -1)
            cv2.imwrite(str(folder / kind / f"crop_{number}a.png"), patch)
    return folder


@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_trains_both_presets(run, preset, persons, tmp_path):
    result = run(
        "pretrain_human_cnn.py",
        persons_path=persons,
        model_dir=tmp_path,
        preset=preset,
        epochs=5,
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert json.loads(result.stdout.splitlines()[-1]) == metrics
    assert metrics["preset"] == preset
    assert metrics["test_auc"] > 0.9
    path = tmp_path / "model.keras"
    assert not keras.saving.load_model(path).compiled
    assert path.stat().st_size < 2 * 2**20
