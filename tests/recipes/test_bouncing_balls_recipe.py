import numpy as np
import pytest

from ratm_tf import recipes

# Section 6.1 of the paper.
PAPER = {
    "recurrent_cell": "irnn",
    "units": 64,
    "glimpse_size": (5, 5),
    "window_update": "absolute",
    "use_bias": False,
    "recurrent_scale": 1.0,
    "initial_window": "given_first",
    "random_window": True,
    "box": "corner",
    "frame_size": (20, 20),
    "losses": {"glimpses": "pixels"},
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "decay": "constant",
    "momentum": 0.0,
    "clipnorm": 1.0,
    "batch_size": 16,
    "steps": 200 * 100_000 // 16,
    "train_sequences": 100_000,
    "train_frames": 32,
    "first_frames": 32,
    "test_frames": 32,
    "test_sequences": 10_000,
}


@pytest.mark.parametrize("penalty", ["last", "all"])
def test_the_papers_constants(penalty):
    recipe = recipes.bouncing_balls(penalty, "paper")
    found = {name: getattr(recipe, name) for name in PAPER}
    assert found == PAPER
    assert recipe.penalty == penalty
    assert recipe.spans == [(1, 32), (32, 32)]


def ball_patch():
    """The published simulation's ball, of radius 2.4 pixels, in the middle of 5x5."""
    distance = np.hypot(*np.mgrid[-2:3, -2:3])
    return np.exp(-((distance / 2.4) ** 8))


@pytest.mark.parametrize("penalty", ["last", "all"])
def test_the_target_is_a_ball_and_the_penalty_falls_on_its_frames(penalty):
    experiment = recipes.bouncing_balls(penalty, "paper").build()
    inputs, labels, weights = next(iter(experiment.sequences(0)))
    assert inputs["frames"].shape == (16, 32, 20, 20, 1)
    patch = labels["glimpses"].numpy()
    assert patch.shape == (16, 32, 5, 5, 1)
    np.testing.assert_allclose(
        patch, np.broadcast_to(ball_patch()[..., None], patch.shape), atol=0.003
    )
    expected = np.ones(32) if penalty == "all" else np.eye(32)[31]
    np.testing.assert_array_equal(weights, np.broadcast_to(expected, [16, 32]))


def test_the_loss_adds_squared_errors_over_pixels():
    recipe = recipes.bouncing_balls("last", "paper", batch_size=4)
    experiment = recipe.build()
    batch = experiment.sequences(0).take(1)
    inputs, labels, _ = next(iter(batch))
    seen = experiment.tracker.predict_on_batch(inputs)["glimpses"][:, -1]
    error = (seen - labels["glimpses"][:, -1].numpy()) ** 2
    loss = experiment.tracker.evaluate(batch, verbose=0)
    expected = error.sum(axis=(1, 2, 3)).mean()
    assert loss[0] == pytest.approx(expected, rel=1e-4)


def test_each_sequence_starts_with_a_window_of_its_own():
    recipe = recipes.bouncing_balls("all", "paper", test_sequences=16)
    experiment = recipe.build(seed=3)
    inputs, *_ = next(iter(experiment.sequences(0)))
    tested = next(iter(experiment.test))["initial_box"]
    for boxes in (inputs["initial_box"].numpy(), tested.numpy()):
        assert len(np.unique(boxes, axis=0)) == 16
    assert np.all(inputs["initial_box"].numpy() != tested.numpy())
    seen = experiment.tracker.predict_on_batch(inputs)["corner_boxes"]
    np.testing.assert_allclose(seen[:, 0], inputs["initial_box"], atol=1e-4)
    assert any(
        weight.path.endswith("window_bias")
        for weight in experiment.tracker.trainable_weights
    )


@pytest.mark.parametrize("count", [32, 40])
def test_epochs_are_over_the_same_sequences(count):
    recipe = recipes.bouncing_balls("last", "paper", train_sequences=count)
    experiment = recipe.build()

    def frames(start, batches):
        taken = experiment.sequences(start).take(batches)
        return np.concatenate([inputs["frames"] for inputs, *_ in taken])

    three_epochs = frames(0, 3 * count // 16 + 1)
    epoch = three_epochs[:count]
    assert len(np.unique(epoch, axis=0)) == count
    np.testing.assert_array_equal(three_epochs[count:][: 2 * count], [*epoch, *epoch])
    np.testing.assert_array_equal(frames(48, 2), np.roll(three_epochs, -48, 0)[:32])


def test_sequences_grow_with_the_default_preset_and_a_last_penalty():
    recipe = recipes.bouncing_balls("last", steps_per_frame=2)
    experiment = recipe.build()
    lengths, ends = [], []
    for inputs, labels, weights in experiment.sequences(0).take(7):
        lengths.append(inputs["frames"].shape[1])
        assert labels["boxes"].shape[1] == lengths[-1]
        ends.append(int(np.argmax(weights[0])))
        assert float(weights[0].numpy().sum()) == 1
    assert lengths == [4, 4, 5, 5, 6, 6, 7]
    assert ends == [length - 1 for length in lengths]
    later = next(iter(experiment.sequences(16 * 80)))
    assert later[0]["frames"].shape[1] == 32

    whole = recipes.bouncing_balls("all").build().sequences(0)
    assert whole.element_spec[0]["frames"].shape == (None, 32, 20, 20, 1)


def test_says_what_can_be_known_of_its_test_sequences():
    recipe = recipes.bouncing_balls(test_sequences=50)
    found = recipe.oracle_iou(seed=4)
    assert sorted(found) == ["oracle_iou_1_32", "oracle_iou_32_32"]
    assert found["oracle_iou_32_32"] == 1.0
    assert 0.94 < found["oracle_iou_1_32"] < 0.98
