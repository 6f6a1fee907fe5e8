import numpy as np
import pytest

import ratm_tf
from ratm_tf import recipes
from ratm_tf.datasets.annotated.videos import split_of
from tests.datasets.annotated.clips import write_folder

SMALL = {
    "initial_model": None,
    "units": 4,
    "glimpse_size": (8, 8),
    "frame_size": (30, 40),
    "train_frames": 2,
    "batch_size": 3,
}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


@pytest.fixture
def experiment(folder):
    return recipes.videos(folder, **SMALL).build(seed=1)


def test_videos_are_held_out(experiment):
    names = [f"{number}.avi" for number in range(5)]
    for split in ("train", "validation", "test"):
        assert experiment.data[split] == split_of(split, names, seed=1)
    [test] = experiment.test
    assert [name.decode() for name in test["video"].numpy()] == experiment.data["test"]
    [(inputs, labels, weights)] = experiment.validation
    length = 6 - int(experiment.data["validation"][0][0])  # from video n's frame n on
    assert inputs["frames"].shape == (1, length, 30, 40, 1)
    assert weights.numpy().sum() == length


def test_training_goes_on_where_it_ended(experiment):
    first = list(experiment.sequences(0).take(3))
    [again] = experiment.sequences(2 * SMALL["batch_size"]).take(1)
    for inputs, labels, _ in first:
        assert inputs["frames"].shape == (3, 2, 30, 40, 1)
        np.testing.assert_array_equal(labels["boxes"][:, 0], inputs["initial_box"])
    np.testing.assert_array_equal(again[0]["frames"], first[2][0]["frames"])
    np.testing.assert_array_equal(again[1]["boxes"], first[2][1]["boxes"])


def test_what_is_shown_is_not_tested_on(experiment):
    shown = experiment.recipe.shown(seed=1)
    names = [example["video"].decode() for example in shown]
    data = experiment.data
    assert names == data["train"][:2] + data["validation"]
    assert {example["frames"].shape[1:] for example in shown} == {(30, 40, 1)}


def test_starts_from_the_packaged_tracker_of_people(folder):
    tracker = recipes.videos(folder).build().tracker
    packaged = ratm_tf.load_pretrained("people")
    expected = packaged.loop.get_weights()
    for a, b in zip(tracker.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tracker.box_scale == packaged.box_scale
    with pytest.raises(ValueError, match="`initial_model` to have weights.*people"):
        recipes.videos(folder, units=7).build()
    message = "window update 'absolute'. Received: pretrained:people, with 'relative'"
    with pytest.raises(ValueError, match=message):
        recipes.videos(folder, window_update="absolute").build()


def test_in_colour_and_without_features(folder):
    recipe = recipes.videos(folder, channels=3, features="pixels", **SMALL)
    experiment = recipe.build()
    [(inputs, labels, _)] = experiment.sequences(0).take(1)
    assert inputs["frames"].shape == (3, 2, 30, 40, 3)
    assert experiment.tracker.channels == 3 == recipe.channels
    assert experiment.tracker.cell.features is None
    assert experiment.tracker(inputs)["boxes"].shape == labels["boxes"].shape
    colour = recipes.videos(folder, channels=3, **SMALL).build().tracker
    assert colour.cell.features.input_shape == (None, 8, 8, 3)
    message = r"`initial_model`, or none, of frames of 3 channel\(s\).*people, of 1"
    with pytest.raises(ValueError, match=message):
        recipes.videos(folder, channels=3).build()
    with pytest.raises(ValueError, match="`features`.*Received: 'none'"):
        recipes.videos(folder, features="none").build()
