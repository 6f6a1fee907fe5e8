import dataclasses

import keras
import numpy as np
import pytest

from ratm_tf import recipes
from ratm_tf.datasets.oracle import moving_mnist_oracle, oracle_iou
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH

# Section 6.2 of the paper, and what it shares with the authors' code.
PAPER = {
    "recurrent_cell": "irnn",
    "units": 100,
    "glimpse_size": (28, 28),
    "window_update": "absolute",
    "recurrent_scale": 0.9,
    "use_bias": False,
    "box": "corner",
    "box_scale": 1.0,
    "frame_size": (100, 100),
    "losses": {"boxes": "localization", "class_probabilities": "squared"},
    "loss_weights": {"boxes": 10.0, "class_probabilities": 100.0},
    "optimizer": "sgd",
    "learning_rate": 0.001,
    "decay": "constant",
    "momentum": 0.9,
    "clipnorm": 1.0,
    "batch_size": 32,
    "steps": 32_000,
    "train_sequences": 100_000,
    "train_frames": 10,
    "test_frames": 30,
}


@pytest.mark.parametrize(
    ("digits", "initial_window", "test_sequences"),
    [(1, "learned", 10_000), (2, "given", 5_000)],
)
def test_the_papers_constants(digits, initial_window, test_sequences):
    recipe = recipes.moving_mnist(digits, "paper")
    found = {name: getattr(recipe, name) for name in PAPER}
    assert found == PAPER
    assert recipe.initial_window == initial_window
    assert recipe.test_sequences == test_sequences
    assert recipe.spans == [(1, 10), (1, 30)]


@pytest.mark.parametrize("digits", [1, 2])
def test_builds_what_the_fields_say(digits):
    recipe = recipes.moving_mnist(
        digits,
        "paper",
        mnist_path=str(SAMPLE_PATH),
        steps=3,
        test_sequences=8,
        learning_rate=0.25,
        momentum=0.5,
        clipnorm=2.0,
        units=20,
        recurrent_scale=0.75,
    )
    experiment = recipe.build(seed=5, implementation="tf")
    tracker, optimizer = experiment.tracker, experiment.tracker.optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.momentum == 0.5 and optimizer.global_clipnorm == 2.0
    cell = tracker.cell
    np.testing.assert_array_equal(
        cell.recurrent_cell.recurrent_kernel, 0.75 * np.eye(20)
    )
    assert cell.implementation == "tf" and cell.window_update == "absolute"
    assert tracker.starts_on_target == (digits == 2)
    assert not tracker.objectives["class_probabilities"].trainable
    assert experiment.data["digits"] == str(SAMPLE_PATH)

    inputs, labels = next(iter(experiment.sequences(0)))
    assert inputs["frames"].shape == (32, 10, 100, 100, 1)
    later, _ = next(iter(experiment.sequences(32)))
    again, _ = list(experiment.sequences(0).take(2))[1]
    np.testing.assert_array_equal(later["frames"], again["frames"])
    assert next(iter(experiment.test))["frames"].shape == (8, 30, 100, 100, 1)


def test_the_best_sees_around_its_window():
    recipe = recipes.moving_mnist(2, "best", mnist_path=str(SAMPLE_PATH))
    tracker = recipe.build(implementation="tf").tracker
    cell = tracker.cell
    assert cell.scales == recipe.scales == (1.0, 3.0) and cell.sees_window
    assert cell.recurrent_cell.kernel.shape[0] == 2 * 28 * 28 + 8
    assert float(tracker.optimizer.learning_rate) == 0.0


def test_the_loss_is_the_papers_sum_over_frames():
    """Eq. 13 added over ten class probabilities, Eq. 16 of centres, over frames."""
    recipe = recipes.moving_mnist(1, "paper", mnist_path=str(SAMPLE_PATH), batch_size=3)
    experiment = recipe.build()
    tracker = experiment.tracker
    inputs, labels = next(iter(experiment.sequences(0)))
    outputs = tracker.predict_on_batch(inputs)
    classifier = tracker.objectives["class_probabilities"]
    probabilities = np.stack(
        [classifier.predict_on_batch(g) for g in outputs["glimpses"]]
    )
    true = labels["class_probabilities"].numpy()
    classes = np.sum((probabilities - true) ** 2, axis=-1)

    def centers(boxes):
        boxes = np.asarray(boxes, np.float64)
        return (boxes[..., :2] + boxes[..., 2:]) / 2

    error = (centers(outputs["boxes"]) - centers(labels["boxes"])) / 49.5
    places = np.mean(error**2, axis=-1)
    expected = (classes + places).sum(axis=1).mean()
    loss = tracker.evaluate(inputs, labels, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(expected, rel=1e-4)


def test_a_recipe_without_momentum_takes_another_step():
    """What a field says, a step shows."""
    moved = []
    for changes in ({}, {"learning_rate": 0.5}):
        keras.utils.set_random_seed(0)
        recipe = recipes.moving_mnist(1, "paper", mnist_path=str(SAMPLE_PATH))
        recipe = dataclasses.replace(recipe, batch_size=2, **changes)
        experiment = recipe.build()
        kernel = experiment.tracker.cell.recurrent_cell.kernel
        before = kernel.numpy().copy()
        experiment.tracker.fit(
            experiment.sequences(0).take(1), steps_per_epoch=1, verbose=0
        )
        moved.append(np.abs(kernel.numpy() - before).max())
    assert 0 < moved[0] < moved[1] / 100


def test_says_what_can_be_known_of_its_test_sequences():
    recipe = recipes.moving_mnist(2, test_sequences=50)
    found = recipe.oracle_iou(seed=4)
    assert sorted(found) == ["oracle_iou_1_10", "oracle_iou_1_30"]
    true, known = moving_mnist_oracle(
        "test", num_frames=30, num_sequences=50, num_digits=2, seed=4
    )
    assert found == oracle_iou(true, known, recipe.spans)
    assert 0.8 < found["oracle_iou_1_30"] < 0.9
