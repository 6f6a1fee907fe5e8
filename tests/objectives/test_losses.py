import keras
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.objectives import (
    LocalizationLoss,
    OverlapLoss,
    PixelLoss,
    RelativeBoxLoss,
)

RNG = np.random.default_rng(0)
BOXES = RNG.uniform(0, 50, [2, 3, 2, 4]).astype(np.float32)
TRUE, PREDICTED = BOXES[:, :, 0], BOXES[:, :, 1]
UNIT = np.array([99, 49]) / 2


def centers(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def test_localization_is_the_centres_error_in_frame_units():
    expected = np.mean(((centers(TRUE) - centers(PREDICTED)) / UNIT) ** 2)
    np.testing.assert_allclose(
        LocalizationLoss((50, 100))(TRUE, PREDICTED), expected, rtol=1e-5
    )


@pytest.mark.parametrize("frame_size", [(1, 100), (50, 1), (1, 1)])
def test_along_an_axis_of_one_pixel_there_is_no_error(frame_size):
    unit = np.array([frame_size[1] - 1, frame_size[0] - 1]) / 2
    error = np.where(unit > 0, (centers(TRUE) - centers(PREDICTED)), 0)
    expected = np.mean((error / np.maximum(unit, 1)) ** 2)
    predicted = tf.constant(PREDICTED)
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = LocalizationLoss(frame_size)(TRUE, predicted)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert np.isfinite(tape.gradient(loss, predicted)).all()


def test_pixel_loss_averages_over_the_glimpse():
    true, predicted = RNG.uniform(size=[2, 2, 3, 5, 7, 2]).astype(np.float32)
    np.testing.assert_allclose(
        PixelLoss()(true, predicted), np.mean((true - predicted) ** 2), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (PixelLoss(), [2, 3, 5, 7, 2]),
        (LocalizationLoss((50, 100)), [2, 3, 4]),
        (OverlapLoss(), [2, 3, 4]),
        (keras.losses.MeanAbsoluteError(), [2, 3, 4]),
        (keras.losses.MeanSquaredError(), [2, 3, 10]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_sample_weights_leave_frames_out(loss, shape):
    true, predicted = RNG.uniform(size=[2, *shape]).astype(np.float32)
    weight = np.float32([[1, 0, 0], [1, 1, 0]])
    masked = loss(true, predicted, sample_weight=weight).numpy()
    predicted[0, 1:] = predicted[1, 2:] = 1e3
    np.testing.assert_allclose(loss(true, predicted, sample_weight=weight), masked)
    per_frame = type(loss)(**loss.get_config() | {"reduction": "none"})
    assert per_frame(true, predicted).shape == (2, 3)


def ious(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b)]
    return shared / (sum(areas) - shared)


def relative_errors(true, predicted):
    size = true[..., 2:] - true[..., :2]
    error = abs(true - predicted) / np.concatenate([size, size], axis=-1)
    return np.mean(error, axis=-1)


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (RelativeBoxLoss(), relative_errors),
        (OverlapLoss(), lambda true, predicted: 1 - ious(true, predicted)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_frames_without_a_true_box_do_not_count(loss, reference):
    corners = RNG.uniform(0, 25, [2, 3, 2]).astype(np.float32)
    true = np.concatenate([corners, corners + (20, 30)], axis=-1).astype(np.float32)
    predicted = true + RNG.uniform(-5, 5, [2, 3, 4]).astype(np.float32)
    each = reference(true, predicted)
    np.testing.assert_allclose(loss(true, predicted), np.mean(each), rtol=1e-5)
    present = np.array([[True, False, True], [False, True, True]])
    some = np.where(present[..., None], true, 0)
    np.testing.assert_allclose(loss(some, predicted), np.mean(each[present]), rtol=1e-5)
    weight = np.float32([[1, 1, 0], [1, 1, 1]])
    np.testing.assert_allclose(
        loss(some, predicted, sample_weight=weight),
        np.sum((each * weight)[present]) / np.sum(present),
        rtol=1e-5,
    )
    predicted = tf.constant(predicted)
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        value = loss(np.zeros_like(true), predicted)
    assert value == 0 and not tape.gradient(value, predicted).numpy().any()


def test_overlap_loss_is_what_an_iou_lacks_of_one():
    square = np.float32([[[10, 10, 20, 20]]])
    losses = [
        float(OverlapLoss()(square, square + np.float32(shift)))
        for shift in ([0, 0, 0, 0], [5, 0, 5, 0], [0, 0, 10, 0], [10, 0, 10, 0])
    ]
    np.testing.assert_allclose(losses, [0, 2 / 3, 1 / 2, 1], atol=1e-6)


@pytest.mark.parametrize(
    "loss", [PixelLoss(), LocalizationLoss((50, 100)), RelativeBoxLoss(), OverlapLoss()]
)
def test_serialization(loss):
    config = keras.saving.serialize_keras_object(loss)
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(loss)
    assert restored.get_config() == loss.get_config()


def test_predictions_may_be_half_precision():
    loss = LocalizationLoss((50, 100))
    np.testing.assert_allclose(
        loss(TRUE, tf.cast(PREDICTED, tf.bfloat16)), loss(TRUE, PREDICTED), rtol=5e-2
    )
