import pathlib

import keras
import numpy as np
import pytest

import ratm_tf
from ratm_tf import recipes
from ratm_tf.objectives import WeightPenalty

DATASETS = pathlib.Path(ratm_tf.__file__).parent / "datasets"
DRAWN = str(DATASETS / "people" / "dummy_data" / "PennFudanPed")

# Section 6.3 of the paper and the authors' code.
PAPER = {
    "recurrent_cell": "irnn",
    "units": 32,
    "glimpse_size": (28, 28),
    "recurrent_scale": 1.0,
    "use_bias": False,
    "small_start": True,
    "features": "human_cnn",
    "finetune": False,
    "feature_scale": 74.0,
    "hidden_scale": 40.0,
    "window_update": "residual",
    "initial_window": "given",
    "box": "corner",
    "box_scale": 1.5,
    "frame_size": (120, 160),
    "losses": {"features": "squared"},
    "loss_weights": {"features": 1.0},
    "weight_penalty": 0.2,
    "optimizer": "sgd",
    "learning_rate": 0.001,
    "decay": "constant",
    "momentum": 0.0,
    "clipnorm": 1.0,
    "batch_size": 16,
    "train_frames": 30,
    "first_frames": 5,
    "steps_per_frame": 160,
}


def test_the_papers_constants():
    recipe = recipes.people("kth", "paper", test_subject=7)
    found = {name: getattr(recipe, name) for name in PAPER}
    assert found == PAPER
    assert recipe.test_frames is None and recipe.test_sequences is None
    assert recipe.choices == {
        "dataset": "kth",
        "test_subject": 7,
        "preset": "paper",
        "finetune": False,
    }


@pytest.fixture(scope="module")
def paper():
    keras.utils.set_random_seed(0)
    recipe = recipes.people(
        preset="paper",
        pennfudan_path=DRAWN,
        train_sequences=6,
        validation_sequences=4,
        test_sequences=2,
        first_frames=3,
        steps_per_frame=2,
        train_frames=5,
        batch_size=2,
    )
    return recipe.build()


def test_the_cell_sees_features_and_the_objective_compares_them(paper):
    tracker = paper.tracker
    assert tracker.box_scale == 1.5 and tracker.starts_on_target
    assert tracker.cell.features.output_shape == (None, 7, 7, 64)
    assert tracker.objectives["features"].output_shape == (None, 256)
    assert not tracker.cell.features.trainable
    cnn = ratm_tf.load_pretrained("human_cnn")
    glimpses = np.random.default_rng(0).random([2, 28, 28, 1], np.float32)
    scaled = ratm_tf.features.convolutional_features(cnn)(glimpses) * 74.0
    np.testing.assert_allclose(tracker.cell.features(glimpses), scaled, rtol=1e-5)
    for part in (tracker.cell.recurrent_cell, tracker.cell.window):
        regularizer = part.kernel_regularizer
        assert isinstance(regularizer, WeightPenalty) and regularizer.factor == 0.2
        assert 0 < np.abs(part.kernel).max() < 0.01  # they start small


def test_the_loss_is_of_features_and_weights(paper):
    tracker = paper.tracker
    batch = paper.sequences(0).take(1)
    inputs, labels, weights = next(iter(batch))
    objective = tracker.objectives["features"]
    seen = tracker.predict_on_batch(inputs)["glimpses"]
    true = tracker.read(inputs["frames"], labels["boxes"]).numpy()

    def judged(glimpses):
        return np.stack([objective.predict_on_batch(each) for each in glimpses])

    error = np.mean((judged(seen) - judged(true)) ** 2, axis=-1)
    penalty = 0.2 * sum(
        np.mean(np.square(part.kernel.numpy()))
        for part in (tracker.cell.recurrent_cell, tracker.cell.window)
    )
    expected = np.mean(error * weights.numpy()) + penalty
    loss = tracker.evaluate(batch, verbose=0)
    assert loss[0] == pytest.approx(expected, rel=1e-3)


def test_sequences_grow(paper):
    lengths = [batch[0]["frames"].shape[1] for batch in paper.sequences(0).take(6)]
    assert lengths == [3, 3, 4, 4, 5, 5]


def test_validation_is_not_trained_on(paper):
    seen = {
        frames.numpy().tobytes()
        for inputs, *_ in paper.sequences(0).take(20)
        for frames in inputs["frames"][:, 0]
    }
    validation = [
        frames for inputs, *_ in paper.validation for frames in inputs["frames"]
    ]
    assert len(validation) == 4
    assert not any(
        frame.numpy().tobytes() in seen for frames in validation for frame in frames
    )


def test_the_best_sees_around_its_window_in_even_light():
    keras.utils.set_random_seed(0)
    recipe = recipes.people(
        preset="best",
        pennfudan_path=DRAWN,
        train_sequences=3,
        validation_sequences=1,
        test_sequences=1,
        train_frames=3,
        batch_size=2,
        warmup_steps=0,
    )
    assert recipe.detector == "coarse"
    experiment = recipe.build()
    tracker = experiment.tracker
    assert tracker.box == "corner" and tracker.box_scale == 1.5
    assert tracker.cell.scales == (1.0, 2.0) and tracker.cell.sees_window
    # Two glimpses' features, and where the window is and how it moved.
    assert tracker.cell.recurrent_cell.kernel.shape == (2 * 4 * 4 * 48 + 8, 3 * 128)
    glimpses = np.random.default_rng(0).random([2, 28, 28, 1], np.float32)
    features = tracker.cell.features
    np.testing.assert_allclose(
        features(0.5 * glimpses + 0.3), features(glimpses), atol=0.05
    )
    inputs, labels, weights = next(iter(experiment.sequences(0)))
    before = tracker.cell.window.kernel.numpy()
    loss = tracker.train_on_batch(inputs, labels, weights)[0]
    assert np.isfinite(loss) and loss > 0
    assert np.any(before != tracker.cell.window.kernel.numpy())


@pytest.mark.parametrize("finetune", [False, True])
def test_one_network_describes_and_judges(finetune, tmp_path):
    recipe = recipes.people(preset="paper", pennfudan_path=DRAWN, finetune=finetune)
    keras.utils.set_random_seed(0)
    tracker = recipe._people_tracker("auto")
    tracker.save(tmp_path / "tracker.keras")
    inputs = {
        "frames": np.random.default_rng(0).random([1, 3, 120, 160, 1], np.float32),
        "initial_box": np.float32([[40, 20, 70, 90]]),
    }
    labels = {"boxes": np.float32([[[40, 20, 70, 90]] * 3])}
    losses = []
    for model in (tracker, keras.saving.load_model(tmp_path / "tracker.keras")):
        features, objective = model.cell.features, model.objectives["features"]
        assert objective.layers[1] is features
        assert features.trainable == objective.trainable == finetune
        # W_in, W_rec, W; two convolutions and a hidden layer with their biases.
        assert len(model.trainable_weights) == (9 if finetune else 3)
        before = [weight.numpy() for weight in objective.weights]
        model.fit(inputs, labels, verbose=0)
        for old, new in zip(before, objective.weights, strict=True):
            assert np.any(old != new.numpy()) == finetune
        losses.append(model.evaluate(inputs, labels, verbose=0)[0])
    assert losses[0] == pytest.approx(losses[1])


def test_starts_from_another_tracker(tmp_path):
    recipe = recipes.people(preset="fast", pennfudan_path=DRAWN)
    first = recipe._people_tracker("auto")
    first.save(tmp_path / "first.keras")
    initial = {"initial_model": str(tmp_path / "first.keras")}
    started = recipes.people(preset="fast", **initial)._people_tracker("auto")
    for a, b in zip(first.weights, started.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    packaged = recipes.people(preset="best", initial_model="pretrained:people")
    packaged = packaged._people_tracker("auto")
    expected = ratm_tf.load_pretrained("people").loop.get_weights()
    for a, b in zip(packaged.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="to be a tracker. Received: .*mnist_cnn"):
        recipes.people(initial_model="pretrained:mnist_cnn")._people_tracker("auto")
    with pytest.raises(ValueError, match="`initial_model` to have weights.*first"):
        recipes.people(preset="paper", **initial)._people_tracker("auto")
