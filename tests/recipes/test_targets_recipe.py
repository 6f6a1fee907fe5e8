import pathlib

import numpy as np
import pytest

import ratm_tf
from ratm_tf.features import target_features

DRAWN = pathlib.Path(ratm_tf.__file__).parent / "datasets" / "cutouts" / "dummy_data"
CUTOUTS = DRAWN / "cutouts"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "features.keras"
    target_features(filters=4).save(path)
    return ratm_tf.recipes.targets(
        CUTOUTS,
        features=str(path),
        units=6,
        box_scale=3.0,
        batch_size=2,
        frame_size=(80, 96),
        train_frames=3,
        test_frames=4,
        test_sequences=3,
        steps=2,
    )


def test_it_builds_what_its_fields_say(recipe):
    experiment = recipe.build(seed=1)
    cell = experiment.tracker.cell
    assert isinstance(cell, ratm_tf.CorrelationCell)
    assert (cell.units, cell.context, experiment.tracker.box_scale) == (6, 3.0, 3.0)
    assert cell.features.output_shape == (None, 32, 32, 4)
    assert not cell.features.trainable
    names = {
        weight.path.split("/")[-2] for weight in experiment.tracker.trainable_weights
    }
    assert names == {"gru", "score"}


def test_boxes_count_where_they_are_seen_and_scores_always(recipe):
    inputs, labels, weights = next(iter(recipe.build().sequences(0)))
    assert inputs["frames"].shape == (2, 3, 80, 96, 3)
    assert labels["boxes"].shape == (2, 3, 4)
    np.testing.assert_array_equal(weights["scores"], np.ones([2, 3]))
    films = ratm_tf.datasets.cutout_sequences(
        "train",
        num_frames=3,
        batch_size=2,
        frame_size=(80, 96),
        cutouts_path=CUTOUTS,
    )
    np.testing.assert_array_equal(weights["boxes"], next(iter(films))["mask"])


def test_tests_are_of_other_films(recipe):
    (*batches,) = recipe.test_data()
    assert sum(len(batch["boxes"]) for batch in batches) == 3
    assert batches[0]["frames"].shape == (2, 4, 80, 96, 3)
    first = next(iter(recipe.build().sequences(0)))[0]["frames"]
    assert np.abs(np.int32(batches[0]["frames"][:, :3]) - np.int32(first)).max() > 0


def test_it_trains_and_is_measured(recipe, tmp_path):
    metrics = ratm_tf.training.run_recipe(recipe, model_dir=tmp_path / "run")
    assert metrics["steps"] == 2
    assert 0 <= metrics["extent_iou"] <= 1
    saved = ratm_tf.pretrained.load(tmp_path / "run" / "model.keras")
    assert saved.cell.scores
