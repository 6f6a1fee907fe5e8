import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.attention.implementation import fallback_reason
from ratm_tf.boxes import corner_box, extent_box, iou, window_from_box
from ratm_tf.objectives import LocalizationLoss, PixelLoss
from tests import programs
from tests.attention import reference

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


def make_tracker(window_update="absolute", **arguments):
    cell = ratm_tf.RATMCell(8, SIZE, window_update=window_update)
    return ratm_tf.Tracker(cell, **arguments)


def labels(**more):
    return {"boxes": BOXES} | more


def has_loop(tracker, frames=FRAMES):
    """Whether a training step's graph has a loop over the frames."""
    graph = tf.function(lambda: tracker({"frames": frames}, training=True))
    operations = graph.get_concrete_function().graph.get_operations()
    return any("While" in operation.type for operation in operations)


def true_glimpses(boxes):
    """What windows with these extents show, by the reference, in 0..1."""
    boxes = np.broadcast_to(np.float64(boxes), [4, 6, 4]).reshape([-1, 4])
    first, last = np.split(boxes, 2, axis=-1)
    stride = (last - first) / SIZE[::-1]
    windows = np.concatenate([(first + last) / 2, stride / 2, stride], axis=-1)
    frames = FRAMES.reshape([-1, *FRAMES.shape[2:]])
    glimpses = reference.glimpse(frames, windows[:, None], SIZE)
    return np.float32(glimpses.reshape([4, 6, *SIZE, 1]) / 255)


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


@pytest.mark.parametrize("unroll", [False, True])
def test_frames_of_other_integers_are_refused(unroll):
    with pytest.raises(TypeError, match="one of the dtypes .* Received: int32"):
        make_tracker(unroll=unroll)({"frames": FRAMES.astype("int32")})


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


def test_unrolled_sequences_train_like_a_loop():
    def losses(unroll):
        keras.utils.set_random_seed(0)
        tracker = make_tracker("residual", unroll=unroll)
        tracker.compile(keras.optimizers.SGD(0.1), loss={"glimpses": PixelLoss()})
        true = {"glimpses": np.zeros([4, 6, *SIZE, 1], np.float32)}
        history = tracker.fit(
            {"frames": FRAMES}, true, epochs=3, batch_size=2, verbose=0
        )
        assert has_loop(tracker) != unroll
        return history.history["loss"]

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-5)


def test_what_is_unrolled_by_itself():
    """Short sequences through small cells, in a length known beforehand."""
    loops = fallback_reason() is not None
    long = np.tile(FRAMES, [1, 20, 1, 1, 1])
    assert has_loop(make_tracker("residual")) == loops
    assert has_loop(make_tracker("residual"), long)
    assert has_loop(make_tracker(), long) != make_tracker().cell.plain
    layers = [keras.layers.Conv2D(2, 3, padding="same") for _ in range(30)]
    features = keras.Sequential([keras.Input([*SIZE, 1]), *layers])
    large = ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE, features=features))
    assert has_loop(large)
    tracker = make_tracker()
    tracker({"frames": FRAMES}, training=True)
    assert not tracker.loop.unroll


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
    assert set(predicted) == {"boxes", "corner_boxes", "windows", "glimpses"}
    judged = tracker.objectives["class_probabilities"](
        predicted["glimpses"].reshape([-1, *SIZE, 1]), training=False
    )
    expected = np.mean((judged - np.eye(10, dtype="float32")[3]) ** 2)
    assert results["class_probabilities_loss"] == pytest.approx(expected, rel=1e-4)


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
    assert results[0]["boxes_iou"][0] > 0


def test_feature_objective_compares_what_two_windows_show():
    """Eq. 15: features at the predicted window against those at the true one."""
    features = keras.Sequential(
        [keras.Input([*SIZE, 1]), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    )
    features.trainable = False
    tracker = make_tracker(objectives={"features": features})
    inputs = {"frames": FRAMES}
    true = tf.reshape(true_glimpses(BOXES), [-1, *SIZE, 1])
    targets = labels(features=tf.reshape(features(true), [4, 6, -1]))
    tracker.compile(keras.optimizers.Adam(0.01), loss={"features": "mse"})
    seen = tracker.predict(inputs, verbose=0)["glimpses"].reshape([-1, *SIZE, 1])
    expected = np.mean((features(seen) - features(true)) ** 2)
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


@pytest.mark.parametrize("trainable", [False, True])
def test_frozen_objective_judges_without_dropout(trainable):
    tracker = make_tracker(objectives={"class_probabilities": classifier(trainable)})
    tracker.compile(keras.optimizers.SGD(0.0), loss={"class_probabilities": "mse"})
    target = labels(class_probabilities=np.zeros([4, 6, 10], np.float32))
    evaluated = tracker.evaluate({"frames": FRAMES}, target, verbose=0)
    trained = tracker.train_on_batch({"frames": FRAMES}, target)
    assert (trained == pytest.approx(evaluated, rel=1e-6)) != trainable


def test_save_load_and_predict_in_a_fresh_process(tmp_path, monkeypatch):
    tracker = make_tracker(objectives={"class_probabilities": classifier()})
    tracker.compile("adam", loss={"boxes": "mae"}, metrics={"boxes": ratm_tf.MeanIoU()})
    tracker.fit({"frames": FRAMES}, labels(), verbose=0)
    tracker.save(tmp_path / "model.keras")
    np.save(tmp_path / "frames.npy", FRAMES)
    program = """
import keras, numpy as np, ratm_tf
tracker = keras.saving.load_model("model.keras")
frames = np.load("frames.npy")
np.savez("predicted.npz", **tracker.predict({"frames": frames}, verbose=0))
boxes = np.zeros([4, 6, 4], np.float32)
tracker.fit({"frames": frames}, {"boxes": boxes}, verbose=0)
assert int(tracker.optimizer.iterations) == 2
"""
    monkeypatch.chdir(tmp_path)
    programs.run_code(program).check_returncode()
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
    """Section 6.3: boxes times 1.5 going in, predictions by 1.5 coming out."""
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
    seen = tracker.read(FRAMES, BOXES)
    np.testing.assert_allclose(seen[:, 0], outputs["glimpses"][:, 0], atol=1e-5)
    np.testing.assert_allclose(seen, true_glimpses([2, 2.75, 14, 16.25]), atol=1e-5)
    assert ratm_tf.Tracker.from_config(tracker.get_config()).box_scale == 1.5
    with pytest.raises(ValueError, match="box_scale.*-1"):
        ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE), box_scale=-1)


def test_objective_without_a_label_is_to_see_what_the_true_boxes_show():
    judge = classifier()
    tracker = make_tracker(objectives={"classes": judge})
    tracker.compile("sgd", loss={"classes": "mse"})
    predicted = tracker({"frames": FRAMES})["glimpses"]
    expected = np.mean(
        [
            (judge(a, training=False) - judge(b, training=False)) ** 2
            for a, b in zip(true_glimpses(BOXES), predicted, strict=True)
        ]
    )
    loss = tracker.evaluate({"frames": FRAMES}, labels(), verbose=0)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_target_missing_or_not_expected():
    with pytest.raises(ValueError, match="initial_box.*received none"):
        ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE, initial_window="given"))(
            {"frames": FRAMES}
        )
    with pytest.raises(ValueError, match="no `initial_box`"):
        make_tracker()({"frames": FRAMES, "initial_box": BOXES[:, 0]})


@pytest.mark.parametrize("shape", [(6, 20, 24, 1), (4, 6, 20, 24, 3)])
def test_wrong_frames_are_named(shape):
    tracker = make_tracker()
    tracker.build({"frames": FRAMES.shape})
    with pytest.raises(ValueError, match="`frames` of shape.*1]"):
        tracker({"frames": np.zeros(shape, np.uint8)})


@pytest.mark.parametrize("argument", ["loss", "metrics", "weighted_metrics"])
def test_losses_and_metrics_on_unknown_outputs_are_named(argument):
    tracker = make_tracker()
    tracker.compile("sgd", **{"loss": {"boxes": "mse"}, argument: {"box": "mse"}})
    with pytest.raises(KeyError, match="boxes.*Received: 'box'"):
        tracker.evaluate({"frames": FRAMES}, labels(), verbose=0)


def test_one_label_serves_both_boxes():
    tracker = make_tracker()
    metrics = {name: ratm_tf.MeanIoU() for name in ("boxes", "corner_boxes")}
    outputs = tracker.predict({"frames": FRAMES}, verbose=0)
    for name in metrics:
        for chosen in ({name: metrics[name]}, metrics):
            tracker.compile("sgd", loss={"boxes": "mse"}, metrics=chosen)
            found = tracker.evaluate(
                {"frames": FRAMES}, labels(), verbose=0, return_dict=True
            )
            assert found[f"{name}_iou"] == pytest.approx(
                np.mean(iou(BOXES, outputs[name])), rel=1e-5
            )


def test_glimpses_without_a_label_are_those_at_the_true_boxes():
    """Eq. 14."""
    tracker = make_tracker()
    tracker.compile("sgd", loss={"glimpses": PixelLoss()})
    seen = tracker.predict({"frames": FRAMES}, verbose=0)["glimpses"]
    expected = np.mean((seen - true_glimpses(BOXES)) ** 2)
    loss = tracker.evaluate({"frames": FRAMES}, labels(), verbose=0)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="label `boxes`"):
        tracker.evaluate({"frames": FRAMES}, verbose=0)


def test_box_is_that_of_init_labels_and_output():
    boxes = BOXES[:, 0]
    for kind, box_of in (("corner", corner_box), ("extent", extent_box)):
        cell = ratm_tf.RATMCell(8, SIZE, initial_window="given")
        tracker = ratm_tf.Tracker(cell, box=kind)
        outputs = tracker({"frames": FRAMES, "initial_box": boxes})
        np.testing.assert_allclose(outputs["boxes"][:, 0], boxes, atol=1e-5)
        np.testing.assert_allclose(
            outputs["boxes"], box_of(outputs["windows"], SIZE), atol=1e-5
        )
        np.testing.assert_allclose(
            tracker.read(FRAMES, BOXES)[:, 0], outputs["glimpses"][:, 0], atol=1e-5
        )
        assert ratm_tf.Tracker.from_config(tracker.get_config()).box == kind
    with pytest.raises(ValueError, match="`box`.*'edge'"):
        make_tracker(box="edge")


@pytest.mark.parametrize("length", [1, 5])
def test_labels_of_another_shape_are_named(length):
    """Whether they would be broadcast or not; then all goes on."""
    tracker = make_tracker()
    tracker.compile("sgd", loss={"boxes": "mse"})
    with pytest.raises(ValueError, match="label 'boxes' of shape"):
        tracker.fit({"frames": FRAMES}, BOXES[:, :length], verbose=0)
    tracker.compile("sgd", loss={"boxes": "mse"})
    history = tracker.fit({"frames": FRAMES}, labels(), epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


def test_frames_boxes_and_weights_may_be_plain_arrays():
    """As Keras takes them for a model of one input and one output."""
    weight = np.ones([4, 6], np.float32)
    weight[:, 3:] = 0
    results = []
    for arguments in (
        (FRAMES, BOXES, weight),
        ({"frames": FRAMES}, {"boxes": BOXES}, {"boxes": weight}),
    ):
        keras.utils.set_random_seed(0)
        tracker = make_tracker()
        iou_metric = {"boxes": ratm_tf.MeanIoU()}
        tracker.compile("sgd", {"boxes": "mae"}, weighted_metrics=iou_metric)
        x, y, w = arguments
        fitted = tracker.fit(x, y, sample_weight=w, epochs=2, verbose=0).history
        results.append((fitted, tracker.predict(x, verbose=0)["boxes"]))
    (plain, boxes), (by_name, expected) = results
    assert plain == by_name and len(plain) == 2
    np.testing.assert_array_equal(boxes, expected)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_initial_box_may_be_of_any_real_dtype_or_a_list(dtype):
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE, initial_window="given"))
    expected = tracker({"frames": FRAMES, "initial_box": BOXES[:, 0]})["boxes"]
    inputs = {"frames": FRAMES, "initial_box": BOXES[:, 0].astype(dtype)}
    np.testing.assert_array_equal(tracker(inputs)["boxes"], expected)
    inputs = {"frames": FRAMES, "initial_box": BOXES[:, 0].tolist()}
    np.testing.assert_array_equal(tracker(inputs)["boxes"], expected)
    states = [
        tracker.initial_state(4, FRAMES.shape[2:4], box)
        for box in (BOXES[:, 0], BOXES[:, 0].tolist())
    ]
    np.testing.assert_array_equal(states[0][-1], states[1][-1])


@pytest.mark.parametrize("shape", [[4, 2, 4], [4], [4, 5]])
def test_initial_box_of_another_shape_is_named(shape):
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, SIZE, initial_window="given"))
    with pytest.raises(ValueError, match="`initial_box` of shape"):
        tracker({"frames": FRAMES, "initial_box": np.ones(shape, np.float32)})


@pytest.mark.parametrize("loss", ["boxs", "boxes"])
def test_a_first_fit_that_fails_leaves_the_weights(loss):
    tracker = make_tracker()
    tracker.compile("sgd", loss={loss: "mse"})
    with pytest.raises((KeyError, ValueError)):
        tracker.fit({"frames": FRAMES}, {"windows": BOXES}, verbose=0)
    assert all(w.numpy().shape == w.shape for w in tracker.weights)
    tracker.compile("sgd", loss={"boxes": "mse"})
    tracker.fit({"frames": FRAMES}, labels(), verbose=0)


def one_model():
    model = keras.Sequential([keras.Input([*SIZE, 1]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    return model, model


def one_layer():
    layer = keras.layers.Conv2D(2, 3)
    return layer, layer


def one_within_another():
    inner, _ = one_model()
    return inner, keras.Sequential([inner, keras.layers.Dense(2)])


def one_called_by_another():
    inner, _ = one_model()
    glimpse = keras.Input([*SIZE, 1])
    return inner, keras.Model(glimpse, keras.layers.Dense(2)(inner(glimpse)))


def two_ends_of_one():
    glimpse = keras.Input([*SIZE, 1])
    convolved = keras.layers.Conv2D(2, 3)(glimpse)
    hidden = keras.layers.Dense(2)(keras.layers.Flatten()(convolved))
    return keras.Model(glimpse, convolved), keras.Model(glimpse, hidden)


@pytest.mark.parametrize(
    "make",
    [
        one_model,
        one_layer,
        one_within_another,
        one_called_by_another,
        two_ends_of_one,
    ],
)
def test_what_is_in_two_places_loads_as_one(make, tmp_path):
    features, objective = make()
    cell = ratm_tf.RATMCell(8, SIZE, features=features)
    tracker = ratm_tf.Tracker(cell, objectives={"judged": objective})
    tracker.compile("sgd", {"judged": "mse"})
    before = tracker.evaluate({"frames": FRAMES}, labels(), verbose=0)
    tracker.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    after = loaded.evaluate({"frames": FRAMES}, labels(), verbose=0)
    assert after == pytest.approx(before, rel=1e-6)
    shared = {
        id(weight)
        for weight in loaded.cell.features.weights
        if any(weight is other for other in loaded.objectives["judged"].weights)
    }
    assert len(shared) == len(features.weights) > 0


def counted():
    class Counted(keras.layers.Dense):
        calls = 0

        def call(self, inputs):
            self.calls += 1
            return super().call(inputs)

    layer = Counted(3)
    glimpse = keras.Input([*SIZE, 1])
    flat = keras.layers.Flatten()
    return layer, keras.Model(glimpse, keras.layers.Dense(2)(flat(layer(glimpse))))


def sees_the_glimpse_too():
    features, _ = one_model()
    glimpse = keras.Input([*SIZE, 1])
    both = [features(glimpse), keras.layers.Flatten()(glimpse)]
    return features, keras.Model(glimpse, keras.layers.Concatenate()(both))


@pytest.mark.parametrize(
    "make",
    [
        counted,
        one_model,
        one_within_another,
        two_ends_of_one,
        sees_the_glimpse_too,
    ],
)
def test_objective_goes_on_from_the_features_of_the_recurrence(make):
    frames, boxes = FRAMES[:, :2], BOXES[:, :2]
    trained, calls = [], []
    for return_features in (False, True):
        keras.utils.set_random_seed(0)
        features, objective = make()
        cell = ratm_tf.RATMCell(
            8, SIZE, features=features, return_features=return_features
        )
        tracker = ratm_tf.Tracker(cell, {"judged": objective})
        tracker.compile(keras.optimizers.SGD(0.1), {"judged": "mse"})
        tracker.build({"frames": frames.shape})
        built = getattr(features, "calls", 0)
        tracker.fit({"frames": frames}, boxes, verbose=0)
        trained.append(tracker.get_weights())
        calls.append(getattr(features, "calls", 0) - built)
    for weight, expected in zip(*trained, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)
    if (
        make is counted
    ):  # Each frame, what its window shows, and what the true one does.
        assert calls == [4, 3]


@pytest.mark.parametrize("name", ["boxes", "glimpses"])
def test_objectives_replace_no_output(name):
    with pytest.raises(ValueError, match=f"`objectives`.*'{name}'"):
        make_tracker(objectives={name: classifier()})


def test_tracker_of_something_else_is_named():
    with pytest.raises(ValueError, match="`cell`.*GRUCell"):
        ratm_tf.Tracker(keras.layers.GRUCell(8))
