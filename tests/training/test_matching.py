import keras
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf import CorrelationCell
from ratm_tf.features import target_features
from ratm_tf.training import Checkpoints
from ratm_tf.training.matching import (
    Matching,
    matching_examples,
    pretrain_target_features,
)
from tests import programs

FRAMES, HEIGHT, WIDTH = 8, 80, 96


def film(seed):
    """A target that moves over a background, both with a texture."""
    rng = np.random.default_rng(seed)
    background, target = (
        rng.integers(0, 256, [size, size, 3], np.uint8).repeat(4, 0).repeat(4, 1)
        for size in (24, 5)
    )
    frames, boxes = [], []
    for index in range(FRAMES):
        frame = background[:HEIGHT, :WIDTH].copy()
        x, y = 20 + 4 * index, 10 + 3 * index
        frame[y : y + 20, x : x + 20] = target
        frames.append(frame)
        boxes.append([x - 0.5, y - 0.5, x + 19.5, y + 19.5])
    return np.stack(frames), np.float32(boxes)


def some_films():
    frames, boxes = map(np.stack, zip(*map(film, range(4)), strict=True))
    mask = np.ones([4, FRAMES], bool)
    mask[0, 0] = mask[1, 5] = False
    slices = {"frames": frames, "boxes": boxes, "mask": mask}
    return tf.data.Dataset.from_tensor_slices(slices)


@pytest.fixture(scope="module")
def films():
    return some_films()


@pytest.fixture
def cell():
    keras.utils.set_random_seed(0)
    cell = CorrelationCell(target_features())
    cell.build((None, HEIGHT, WIDTH, 3))
    return cell


def test_labels_say_where_in_a_window_the_target_is(films, cell):
    inputs, labels, _ = next(iter(matching_examples(films.enumerate(), cell).batch(4)))
    labels = labels.numpy().reshape(4, FRAMES - 2, 3, 32, 32)
    np.testing.assert_allclose(labels.sum(axis=(2, 3, 4)), 1, rtol=1e-5)
    windows = inputs["windows"].numpy()[:, 2:]
    boxes = next(iter(films.batch(4)))["boxes"].numpy()[:, 2:]
    span = np.array([WIDTH - 1, HEIGHT - 1])
    centers = (windows[..., :2] + 1) / 2 * span
    sizes = windows[..., 4:] * span / 63 * 64
    true_centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    offset = (true_centers - centers) / sizes * 32
    cells = np.arange(32) - 16
    marginals = labels.sum(axis=(2, 3)), labels.sum(axis=(2, 4))  # Of x and of y.
    for axis, marginal in enumerate(marginals):
        near = np.abs(offset[..., axis]) < 13
        assert near.mean() > 0.8
        mean = (marginal * cells).sum(axis=-1)
        np.testing.assert_allclose(mean[near], offset[..., axis][near], atol=0.02)
    # The window's size over what it should be, in steps.
    steps = np.log(20 * 3.5 / sizes[..., 0]) / np.log(1.05)
    expected = np.clip(np.round(steps), -1, 1) + 1
    clear = np.abs(np.abs(steps) - 0.5) > 0.05
    found = labels.sum(axis=(3, 4)).argmax(axis=-1)
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_windows_to_learn_from_are_on_the_target(films, cell):
    inputs, *_ = next(iter(matching_examples(films.enumerate(), cell).batch(4)))
    boxes = next(iter(films.batch(4)))["boxes"].numpy()[:, :2]
    span = np.array([WIDTH - 1, HEIGHT - 1])
    centers = (inputs["windows"].numpy()[:, :2, :2] + 1) / 2 * span
    off = centers - (boxes[..., :2] + boxes[..., 2:]) / 2
    assert np.abs(off).max() < 0.1 * 20


def test_hidden_targets_do_not_count(films, cell):
    _, _, weights = next(iter(matching_examples(films.enumerate(), cell).batch(4)))
    np.testing.assert_array_equal(weights[0], 0)
    np.testing.assert_array_equal(weights[1], [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(weights[2:], 1)


def test_windows_differ_by_seed_and_number(films, cell):
    one = next(iter(films))

    def windows(number, seed):
        numbered = tf.data.Dataset.from_tensors((np.int64(number), one))
        inputs, *_ = next(iter(matching_examples(numbered, cell, seed)))
        return inputs["windows"].numpy()

    np.testing.assert_array_equal(windows(7, 1), windows(7, 1))
    for other in (windows(7, 2), windows(8, 1)):
        assert np.abs(windows(7, 1) - other).max() > 1e-3


def test_gradients_go_through_the_regression_to_the_features_alone(films, cell):
    matching = Matching(cell)
    inputs, labels, _ = next(iter(matching_examples(films.enumerate(), cell).batch(4)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            keras.losses.categorical_crossentropy(
                labels, matching(inputs), from_logits=True
            )
        )
    weights = [weight.value for weight in matching.trainable_weights]
    gradients = tape.gradient(loss, weights)
    assert len(weights) == 5
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)

    kernel, slope = weights[0], gradients[0]
    direction = slope / tf.norm(slope)
    values = []
    for step in (-0.01, 0.01):
        kernel.assign_add(step * direction)
        logits = matching(inputs)
        values.append(
            float(
                tf.reduce_mean(
                    keras.losses.categorical_crossentropy(
                        labels, logits, from_logits=True
                    )
                )
            )
        )
        kernel.assign_sub(step * direction)
    numeric = (values[1] - values[0]) / 0.02
    np.testing.assert_allclose(numeric, float(tf.norm(slope)), rtol=0.05)


def train(folder, films, strategy=None, **options):
    """Returns the features' weights, and the measures."""
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        features = target_features(filters=8)
    options = {"steps": 4, "batch_size": 2, "steps_per_epoch": 2} | options
    measured = pretrain_target_features(folder, features, films, films, **options)
    return features.get_weights(), measured


@pytest.fixture(scope="module")
def whole(films, tmp_path_factory):
    """A training's weights, its measures, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return *train(folder, films), folder


def test_no_steps_measure_alone(films, tmp_path):
    keras.utils.set_random_seed(0)
    before = target_features(filters=8).get_weights()
    weights, measured = train(tmp_path, films, steps=0)
    assert 0 <= measured["found"] <= 1
    for weight, other in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_training_goes_on_where_it_stopped(films, whole, tmp_path, monkeypatch):
    weights, measured, folder = whole
    assert 0 <= measured["found"] <= 1 and np.isfinite(measured["loss"])
    saved = keras.saving.load_model(folder / "model.keras")
    for weight, kept in zip(weights, saved.get_weights(), strict=True):
        np.testing.assert_allclose(weight, kept, 2e-3, 1e-4)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_epoch_begin", only_the_first)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, films)
    resumed, again = train(tmp_path, films)
    for weight, other in zip(weights, resumed, strict=True):
        np.testing.assert_allclose(weight, other, 1e-4, 1e-5)
    assert again["loss"] == pytest.approx(measured["loss"], rel=1e-3)

    for other, message in (({"steps": 6}, "steps: 4, not 6"), ({}, "films: 4, not 3")):
        with pytest.raises(ValueError, match=message):
            train(tmp_path, films if other else films.take(3), **other)


def only_the_first(checkpoints, epoch, logs=None):
    checkpoints._epoch = epoch
    if epoch:
        raise KeyboardInterrupt


def train_some(folder, strategy):
    return train(folder, some_films(), strategy)


def test_two_devices_learn_what_one_does(whole, tmp_path):
    weights, measured = programs.call_on_two_devices(train_some, tmp_path)
    expected, alone, _ = whole
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-3, 1e-4)
    assert measured == pytest.approx(alone, rel=1e-3)
