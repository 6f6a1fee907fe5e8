import subprocess

import keras
import numpy as np
import pytest

import ratm_tf


def test_a_tracker_gets_a_score(run, tmp_path):
    output = tmp_path / "scored.keras"
    options = {"model": "pretrained:bouncing_balls", "dataset": "bouncing_balls"}
    run("fit_score.py", output=output, sequences=80, frames=12, **options)
    scored = keras.saving.load_model(output)
    test = ratm_tf.datasets.bouncing_balls_sequences(
        "test", num_frames=12, num_sequences=64, batch_size=64
    )
    frames = next(iter(test))["frames"].numpy()
    frames[:, 6:] = 0
    scores = scored({"frames": frames})["scores"].numpy()
    assert scores[:, 6:].max() < 0.5 < scores[:, 5].mean()
    tracker = ratm_tf.load_pretrained("bouncing_balls")
    np.testing.assert_allclose(
        scored({"frames": frames})["boxes"], tracker({"frames": frames})["boxes"], 1e-4
    )


@pytest.mark.parametrize("output", ["scored.h5", "missing/scored.keras", "."])
def test_an_output_that_cannot_be_is_told_at_once(run, tmp_path, output):
    with pytest.raises(subprocess.CalledProcessError) as error:
        run("fit_score.py", model="no.keras", output=tmp_path / output)
    assert "Expected --output to be a .keras file" in error.value.stderr
