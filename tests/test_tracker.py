import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.attention.implementation import fallback_reason
from ratm_tf.boxes import corner_box, extent_box, window_from_box
from ratm_tf.objectives import LocalizationLoss, PixelLoss

FRAMES = np.random.default_rng(0).integers(0, 256, [4, 6, 20, 24, 1], np.uint8)
BOXES = np.tile(np.float32([4, 5, 12, 14]), [4, 6, 1])
SIZE = (8, 8)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def classifier(trainable=False):
    model = keras.Sequential(
        [keras.Input([*SIZE, 1]), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
    )
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.trainable = trainable
    return model


def make_tracker(**arguments):
    return ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE), **arguments)


def labels(**more):
    return {"boxes": BOXES, "corner_boxes": BOXES} | more


def test_outputs():
    outputs = make_tracker()({"frames": FRAMES})
    shapes = {name: tuple(output.shape) for name, output in outputs.items()}
    assert shapes == {
        "boxes": (4, 6, 4),
        "corner_boxes": (4, 6, 4),
        "windows": (4, 6, 6),
        "glimpses": (4, 6, 8, 8, 1),
    }
    windows = outputs["windows"]
    np.testing.assert_allclose(outputs["boxes"], extent_box(windows, SIZE))
    np.testing.assert_allclose(outputs["corner_boxes"], corner_box(windows, SIZE))
    np.testing.assert_allclose(windows[:, 0, :2], [[11.5, 9.5]] * 4)
    assert {output.dtype for output in outputs.values()} == {tf.float32}


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_frame_dtypes(dtype):
    frames = FRAMES if dtype == "uint8" else (FRAMES / 255).astype(dtype)
    glimpses = make_tracker()({"frames": frames})["glimpses"]
    assert glimpses.dtype == tf.float32
    keras.utils.set_random_seed(0)
    expected = make_tracker()({"frames": FRAMES})["glimpses"]
    np.testing.assert_allclose(glimpses[:, 0], expected[:, 0], atol=1e-3)


def test_five_steps_lower_the_loss():
    tracker = make_tracker()
    tracker.compile(keras.optimizers.Adam(0.01), loss={"boxes": "mae"})
    losses = tracker.fit({"frames": FRAMES}, labels(), epochs=5, verbose=0).history
    assert losses["loss"][-1] < losses["loss"][0]
    assert np.all(np.diff(losses["loss"]) < 0)


def test_unrolled_sequences_train_like_a_loop(monkeypatch):
    def losses():
        keras.utils.set_random_seed(0)
        tracker = make_tracker()
        tracker.compile(keras.optimizers.SGD(0.1), loss={"glimpses": PixelLoss()})
        true = {"glimpses": np.zeros([4, 6, *SIZE, 1], np.float32)}
        history = tracker.fit(
            {"frames": FRAMES}, true, epochs=3, batch_size=2, verbose=0
        )
        return history.history["loss"], tracker.loop.unroll

    unrolled, was_unrolled = losses()
    monkeypatch.setattr("ratm_tf.tracker.MOST_UNROLLED_FRAMES", 5)
    looped, was_unrolled_then = losses()
    assert not was_unrolled_then
    assert was_unrolled == (fallback_reason() is None)
    np.testing.assert_allclose(unrolled, looped, rtol=1e-5)


def test_all_objectives_compile_fit_evaluate_and_predict():
    tracker = make_tracker(objectives={"class_probabilities": classifier()})
    tracker.compile(
        "sgd",
        loss={
            "boxes": LocalizationLoss((20, 24)),
            "corner_boxes": "mae",
            "glimpses": PixelLoss(),
            "class_probabilities": "mse",
        },
        loss_weights={
            "boxes": 1.0,
            "corner_boxes": 2.0,
            "glimpses": 3.0,
            "class_probabilities": 4.0,
        },
        metrics={
            "boxes": ratm_tf.MeanIoU(),
            "corner_boxes": [
                ratm_tf.MeanIoU(),
                ratm_tf.MeanIoU(frames=(1, 3), name="early_iou"),
            ],
            "class_probabilities": "accuracy",
        },
    )
    targets = labels(
        glimpses=np.zeros([4, 6, 8, 8, 1], np.float32),
        class_probabilities=np.tile(np.eye(10, dtype="float32")[3], [4, 6, 1]),
    )
    tracker.fit({"frames": FRAMES}, targets, batch_size=2, verbose=0)
    results = tracker.evaluate({"frames": FRAMES}, targets, verbose=0, return_dict=True)
    assert {"corner_boxes_early_iou", "boxes_iou", "class_probabilities_loss"} <= set(
        results
    )
    total = sum(
        weight * results[f"{name}_loss"]
        for name, weight in tracker._compile_loss._user_loss_weights.items()
    )
    assert results["loss"] == pytest.approx(total, rel=1e-4)
    predicted = tracker.predict({"frames": FRAMES}, batch_size=2, verbose=0)
    np.testing.assert_allclose(predicted["class_probabilities"].sum(-1), 1, rtol=1e-5)


def test_sample_weights_mask_the_end_of_short_sequences():
    weight = np.ones([4, 6], np.float32)
    weight[0, 2:] = weight[1, 4:] = 0
    results = []
    for garbage in (0.0, 1e3):
        keras.utils.set_random_seed(0)
        tracker = make_tracker()
        tracker.compile(
            "sgd",
            loss={"boxes": "mae"},
            weighted_metrics={"boxes": ratm_tf.MeanIoU()},
        )
        boxes = np.where(weight[..., None] > 0, BOXES, garbage)
        history = tracker.fit(
            {"frames": FRAMES},
            {"boxes": boxes},
            sample_weight={"boxes": weight},
            epochs=2,
            verbose=0,
        )
        results.append(history.history)
    assert results[0] == results[1]
    assert results[0]["iou"][0] > 0


def test_feature_objective_compares_what_two_windows_show():
    """Eq. 14: features at the predicted window against those at the true one."""
    features = keras.Sequential(
        [keras.Input([*SIZE, 1]), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    )
    features.trainable = False
    tracker = make_tracker(objectives={"features": features})
    inputs, targets = ratm_tf.labelled({"frames": FRAMES, "boxes": BOXES}, SIZE)
    seen = tf.reshape(targets["glimpses"], [-1, *SIZE, 1])
    targets["features"] = tf.reshape(features(seen), [4, 6, -1])
    tracker.compile(keras.optimizers.Adam(0.01), loss={"features": "mse"})
    outputs = tracker.predict(inputs, verbose=0)
    expected = np.mean((outputs["features"] - targets["features"]) ** 2)
    losses = tracker.fit(inputs, targets, epochs=8, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(expected, rel=1e-4)
    assert losses[-1] < losses[0]


def test_only_a_trainable_objective_learns():
    for trainable in (False, True):
        judge = classifier(trainable)
        tracker = make_tracker(objectives={"class_probabilities": judge})
        tracker.compile("sgd", loss={"class_probabilities": "mse"})
        target = np.tile(np.eye(10, dtype="float32")[3], [4, 6, 1])
        tracker.build({"frames": FRAMES.shape})
        before = judge.get_weights()
        window = tracker.cell.window.get_weights()
        tracker.fit({"frames": FRAMES}, {"class_probabilities": target}, verbose=0)
        tracker.fit({"frames": FRAMES}, {"class_probabilities": target}, verbose=0)
        changed = [
            np.any(a != b) for a, b in zip(before, judge.get_weights(), strict=True)
        ]
        assert all(changed) if trainable else not any(changed)
        assert np.any(window[0] != tracker.cell.window.get_weights()[0])


def test_frozen_objective_judges_without_dropout():
    tracker = make_tracker(objectives={"class_probabilities": classifier()})
    outputs = [tracker({"frames": FRAMES}, training=mode) for mode in (True, False)]
    np.testing.assert_array_equal(*(o["class_probabilities"] for o in outputs))


def test_save_load_and_predict_in_a_fresh_process(tmp_path):
    tracker = make_tracker(objectives={"class_probabilities": classifier()})
    tracker.compile("adam", loss={"boxes": "mae"}, metrics={"boxes": ratm_tf.MeanIoU()})
    tracker.fit({"frames": FRAMES}, labels(), verbose=0)
    tracker.save(tmp_path / "model.keras")
    np.save(tmp_path / "frames.npy", FRAMES)
    program = """
import sys, keras, numpy as np, ratm_tf
tracker = keras.saving.load_model("model.keras")
frames = np.load("frames.npy")
np.savez("predicted.npz", **tracker.predict({"frames": frames}, verbose=0))
boxes = np.zeros([4, 6, 4], np.float32)
tracker.fit({"frames": frames}, {"boxes": boxes}, verbose=0)
assert int(tracker.optimizer.iterations) == 2
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    expected = tracker.predict({"frames": FRAMES}, verbose=0)
    with np.load(tmp_path / "predicted.npz") as predicted:
        assert set(predicted) == set(expected)
        for name, output in expected.items():
            np.testing.assert_array_equal(predicted[name], output)


def test_frames_of_any_number_and_size():
    tracker = make_tracker()
    tracker.build({"frames": (None, None, None, None, 1)})
    for frames in (FRAMES, FRAMES[:1, :2], FRAMES[:, :, :15, :10]):
        outputs = tracker.predict({"frames": frames}, verbose=0)
        assert outputs["boxes"].shape == (*frames.shape[:2], 4)


@pytest.mark.parametrize("implementation", ["auto", "tf"])
def test_jit_compile(implementation):
    """XLA compiles the TensorFlow form; Keras leaves it out for the fused op."""
    cell = ratm_tf.RATMCell(8, SIZE, implementation=implementation)
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": FRAMES.shape})
    tracker.compile("sgd", loss={"boxes": "mae"}, jit_compile=True)
    history = tracker.fit({"frames": FRAMES}, labels(), epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    fused = fallback_reason(implementation) is None
    assert tracker.jit_compile != fused


def test_predicts_inside_an_xla_function():
    tracker = make_tracker()
    expected = tracker({"frames": FRAMES})["boxes"]
    compiled = tf.function(tracker, jit_compile=True)
    np.testing.assert_allclose(
        compiled({"frames": FRAMES})["boxes"], expected, atol=1e-3
    )


def test_mixed_precision_keeps_boxes_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        tracker = make_tracker()
        outputs = tracker({"frames": FRAMES})
    finally:
        keras.config.set_dtype_policy("float32")
    assert tracker.cell.recurrent_cell.compute_dtype == "float16"
    assert {output.dtype for output in outputs.values()} == {tf.float32}
    reference = make_tracker()
    reference.build({"frames": FRAMES.shape})
    reference.set_weights(tracker.get_weights())
    expected = reference({"frames": FRAMES})
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], atol=0.05)


def test_starts_on_a_given_target():
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE, initial_window="given"))
    boxes = np.float32([[2, 3, 10, 13], [5, 5, 9, 9], [0, 0, 20, 19], [-4, 2, 6, 8]])
    outputs = tracker.predict({"frames": FRAMES, "initial_box": boxes}, verbose=0)
    np.testing.assert_allclose(outputs["boxes"][:, 0], boxes, atol=1e-4)
    expected = window_from_box(boxes, SIZE)
    np.testing.assert_allclose(
        outputs["windows"][:, 0, [0, 1, 4, 5]], expected.numpy()[:, [0, 1, 4, 5]], 1e-4
    )
    tracker.compile("sgd", loss={"boxes": "mae"})
    tracker.fit({"frames": FRAMES, "initial_box": boxes}, {"boxes": BOXES}, verbose=0)


def test_box_scale_is_between_target_and_window():
    """Section 5.3: boxes times 1.5 going in, predictions by 1.5 coming out."""
    cell = ratm_tf.RATMCell(8, SIZE, initial_window="given")
    tracker = ratm_tf.Tracker(cell, box_scale=1.5)
    target = BOXES[:, 0]
    outputs = tracker({"frames": FRAMES, "initial_box": target})
    np.testing.assert_allclose(outputs["boxes"][:, 0], target, atol=1e-5)
    np.testing.assert_allclose(
        outputs["windows"][:, 0],
        window_from_box(np.tile(np.float32([2, 2.75, 14, 16.25]), [4, 1]), SIZE),
        atol=1e-5,
    )
    width = outputs["corner_boxes"][:, 0, 2] - outputs["corner_boxes"][:, 0, 0]
    np.testing.assert_allclose(width, [8 * 7 / 8] * 4, atol=1e-5)
    example = {"frames": FRAMES, "boxes": BOXES, "initial_box": target}
    inputs, labels = ratm_tf.labelled(example, SIZE, box_scale=1.5)
    np.testing.assert_allclose(
        labels["glimpses"][:, 0], tracker(inputs)["glimpses"][:, 0], atol=1e-5
    )
    assert ratm_tf.Tracker.from_config(tracker.get_config()).box_scale == 1.5
    with pytest.raises(ValueError, match="box_scale.*-1"):
        ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE), box_scale=-1)


def test_objective_without_a_label_is_to_see_what_the_true_boxes_show():
    judge = classifier()
    tracker = make_tracker(objectives={"classes": judge})
    tracker.compile("sgd", loss={"classes": "mse"})
    inputs, labels = ratm_tf.labelled({"frames": FRAMES, "boxes": BOXES}, SIZE)
    predicted = tracker(inputs)["glimpses"]
    expected = np.mean(
        [
            (judge(a, training=False) - judge(b, training=False)) ** 2
            for a, b in zip(labels["glimpses"], predicted, strict=True)
        ]
    )
    loss = tracker.evaluate(inputs, labels, verbose=0)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_target_missing_or_not_expected():
    with pytest.raises(ValueError, match="initial_box.*received none"):
        ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE, initial_window="given"))(
            {"frames": FRAMES}
        )
    with pytest.raises(ValueError, match="no `initial_box`"):
        make_tracker()({"frames": FRAMES, "initial_box": BOXES[:, 0]})


def test_wrong_frames_are_named():
    with pytest.raises(ValueError, match="frames"):
        make_tracker()({"frames": FRAMES[0]})


def test_loss_on_an_unknown_output_is_named():
    tracker = make_tracker()
    tracker.compile("sgd", loss={"box": "mse"})
    with pytest.raises(KeyError, match="box"):
        tracker.fit({"frames": FRAMES}, labels(), verbose=0)
