import dataclasses
import json

import keras
import pytest

from ratm_tf import recipes
from ratm_tf.training import run as module
from ratm_tf.training import run_all_subjects, run_recipe

BALLS = recipes.bouncing_balls(
    steps=2, steps_per_epoch=2, batch_size=2, test_sequences=5, train_frames=4
)


def test_a_run_says_what_it_was(tmp_path):
    metrics = run_recipe(BALLS, model_dir=tmp_path, seed=3)
    assert json.loads((tmp_path / "metrics.json").read_text()) == json.loads(
        json.dumps(metrics)
    )
    assert metrics["seed"] == 3 and metrics["steps"] == 2
    assert metrics["preset"] == "fast" and metrics["penalty"] == "all"
    assert metrics["recipe"] == BALLS.as_dict()
    assert metrics["data"] == {"name": "bouncing_balls"}
    assert metrics["versions"]["ratm-tf"]
    assert {"corner_iou_1_4", "extent_iou_32_32"} <= set(metrics)
    run = json.loads((tmp_path / "run.json").read_text())["run"]
    assert run["seed"] == 3 and run["learning_rate"] == BALLS.learning_rate


def test_more_steps_are_another_run_only_where_the_rate_falls(tmp_path):
    constant = dataclasses.replace(BALLS, decay="constant")
    for recipe in (BALLS, constant):
        run_recipe(recipe, model_dir=tmp_path / recipe.decay)
    longer = dataclasses.replace(constant, steps=4)
    assert run_recipe(longer, model_dir=tmp_path / "constant")["steps"] == 4
    longer = dataclasses.replace(BALLS, steps=4)
    with pytest.raises(ValueError, match="steps: 2, not 4"):
        run_recipe(longer, model_dir=tmp_path / "cosine")


def test_another_field_is_another_run(tmp_path):
    run_recipe(BALLS, model_dir=tmp_path)
    other = dataclasses.replace(BALLS, units=3)
    with pytest.raises(ValueError, match="units: 64, not 3"):
        run_recipe(other, model_dir=tmp_path)


def test_folds_are_averaged_and_only_those_of_one_recipe(tmp_path, monkeypatch):
    recipe = recipes.people("kth", steps=3)
    trained = []

    def trains(recipe, *, model_dir, seed):
        trained.append(recipe.test_subject)
        return done(recipe, seed)

    def done(recipe, seed=0):
        return {
            "seed": seed,
            "corner_iou": 0.02 * recipe.test_subject,
            "recipe": recipe.as_dict(),
        }

    monkeypatch.setattr(module, "run_recipe", trains)
    for subject in range(2, 26):
        fold = dataclasses.replace(recipe, test_subject=subject)
        folder = tmp_path / f"subject{subject:02d}"
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(done(fold)))
    metrics = run_all_subjects(recipe, model_dir=tmp_path, seed=0)
    assert trained == [1] and metrics["test_subject"] == "all"
    assert metrics["corner_iou"] == pytest.approx(0.02 * 13)
    for changed, seed in ((dataclasses.replace(recipe, units=3), 0), (recipe, 1)):
        with pytest.raises(ValueError, match="subject02.*of this recipe and seed"):
            run_all_subjects(changed, model_dir=tmp_path, seed=seed)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_weights_whole_and_scales_losses(tmp_path, precision):
    metrics = run_recipe(BALLS, model_dir=tmp_path, precision=precision)
    assert metrics["precision"] == precision
    assert keras.config.dtype_policy().name == "float32"
    tracker = keras.saving.load_model(tmp_path / "model.keras")
    recurrent = tracker.cell.recurrent_cell
    assert recurrent.compute_dtype == precision.removeprefix("mixed_")
    assert {weight.dtype for weight in tracker.weights} == {"float32"}
    scales = isinstance(tracker.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (precision == "mixed_float16")
    # What was begun so does not go on otherwise, but goes on.
    with pytest.raises(ValueError, match=f"precision: '{precision}', not None"):
        run_recipe(BALLS, model_dir=tmp_path)
    constant = dataclasses.replace(BALLS, decay="constant")
    counted = []
    for steps in (2, 12):
        longer = dataclasses.replace(constant, steps=steps)
        folder = tmp_path / "constant"
        metrics = run_recipe(longer, model_dir=folder, precision=precision)
        counted.append(metrics["steps"])
    # A scale that is too large at first changes nothing but itself.
    assert counted == [2, 12] if not scales else 0 <= counted[0] < counted[1] <= 12
