import dataclasses
import pathlib

import numpy as np
import pytest

import ratm_tf
from ratm_tf.datasets.annotated.videos import split_of
from ratm_tf.features import target_features
from tests.datasets.annotated.clips import write_folder

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


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "videos"
    path.mkdir()
    return write_folder(path)


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


def test_half_of_each_batch_is_of_real_videos(recipe, folder):
    films = recipe.build(seed=3).sequences
    mixed = dataclasses.replace(recipe, videos_dir=str(folder), batch_size=4)
    experiment = mixed.build(seed=3)
    parts = ratm_tf.datasets.videos(
        folder,
        "train",
        num_frames=3,
        batch_size=2,
        frame_size=(80, 96),
        seed=3,
        channels=3,
    )
    for (inputs, labels, weights), film, part in zip(
        experiment.sequences(0).take(2), films(0), parts, strict=False
    ):
        for name in ("frames", "initial_box"):
            np.testing.assert_array_equal(inputs[name][:2], film[0][name])
            np.testing.assert_array_equal(inputs[name][2:], part[name])
        np.testing.assert_array_equal(labels["boxes"][2:], part["boxes"])
        np.testing.assert_array_equal(weights["boxes"][:2], film[2]["boxes"])
        np.testing.assert_array_equal(weights["scores"][:2], np.ones([2, 3]))
        for name in ("boxes", "corner_boxes", "scores"):
            np.testing.assert_array_equal(weights[name][2:], part["mask"])
    names = [f"{number}.avi" for number in range(5)]
    assert experiment.data["videos"] == split_of("train", names, 3)


def test_mixed_batches_go_on_where_they_ended_and_workers_share_them(recipe, folder):
    mixed = dataclasses.replace(recipe, videos_dir=str(folder), batch_size=4)
    sequences = mixed.build().sequences

    def frames(start, count, **options):
        batches = sequences(start, **options).take(count)
        return [batch[0]["frames"].numpy() for batch in batches]

    whole = frames(0, 4)
    np.testing.assert_array_equal(frames(8, 2), whole[2:])
    workers = [frames(4 + worker, 3, step=2, batch_size=2) for worker in (0, 1)]
    for step in range(3):
        batch = np.concatenate([worker[step] for worker in workers])
        np.testing.assert_array_equal(batch[[0, 2, 1, 3]], whole[1 + step])


def test_mixed_batches_have_two_halves(recipe, folder):
    mixed = dataclasses.replace(recipe, videos_dir=str(folder), batch_size=3)
    with pytest.raises(ValueError, match="even `batch_size`.*Received: 3"):
        mixed.build().sequences(0)


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
