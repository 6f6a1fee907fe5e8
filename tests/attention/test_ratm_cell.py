import keras
import numpy as np
import pytest
import tensorflow as tf

from ratm_tf import IRNNCell, RATMCell
from tests.attention import reference

FRAMES = np.random.default_rng(0).integers(0, 256, [3, 6, 20, 24, 1], np.uint8)
SIZE = (5, 7)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def randomize(cell, scale=0.2):
    """Gives the cell weights with which its windows move."""
    rng = np.random.default_rng(1)
    for weight in cell.weights:
        weight.assign(weight + rng.normal(scale=scale, size=weight.shape))


def rolled_out(cell, frames):
    """The recurrence of Eq. 1-5 in NumPy, float64."""
    weights = {w.path.split("/", 1)[1]: np.float64(w) for w in cell.weights}
    height, width = frames.shape[2:4]
    (rows, columns), batch = cell.glimpse_size, len(frames)
    hidden = np.zeros([batch, cell.units])
    raw = bias = np.tile(weights["window_bias"], [batch, 1])
    previous = raw
    windows, glimpses = [], []
    for frame in np.moveaxis(frames, 1, 0):
        span = np.array([width - 1, height - 1])
        views = np.stack(
            [
                np.concatenate(
                    [
                        span * (raw[:, :2] + 1) / 2,
                        np.maximum(abs(scale * raw[:, 2:4]), cell.glimpse.min_sigma),
                        span / [columns - 1, rows - 1] * abs(scale * raw[:, 4:]),
                    ],
                    axis=-1,
                )
                for scale in cell.scales
            ],
            axis=1,
        )
        seen = reference.glimpse(frame, views, (rows, columns)) / 255
        window, glimpse = views[:, 0], seen[:, 0]
        inputs = seen.reshape([batch, -1])
        if cell.sees_window:
            place, moved = raw[:, [0, 1, 4, 5]], (raw - previous)[:, [0, 1, 4, 5]]
            inputs = np.concatenate([inputs, place, 5 * moved], axis=-1)
        previous = raw
        hidden = np.maximum(
            inputs @ weights["irnn/kernel"]
            + hidden @ weights["irnn/recurrent_kernel"]
            + weights["irnn/bias"],
            0,
        )
        update = hidden @ weights["window/kernel"]
        if cell.window_update == "relative":
            update = np.tanh(update)
            moved = raw[:, :2] + abs(raw[:, 4:]) * update[:, :2]
            factor = np.tile(np.exp(update[:, 4:] / 4), 2)
            raw = np.concatenate([moved, raw[:, 2:] * factor], axis=1)
        else:
            raw = update + (raw if cell.window_update == "residual" else bias)
        windows.append(window)
        glimpses.append(glimpse)
    return np.stack(windows, axis=1), np.stack(glimpses, axis=1)


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("window_update", ["absolute", "residual", "relative"])
@pytest.mark.parametrize(
    ("sees_window", "scales"), [(False, (1,)), (True, (1,)), (True, (1, 2.5, 0.5))]
)
def test_recurrence_matches_numpy(
    window_update, sees_window, scales, unroll, implementation
):
    cell = RATMCell(
        8,
        SIZE,
        window_update=window_update,
        sees_window=sees_window,
        scales=scales,
        implementation=implementation,
    )
    cell.build((None, 20, 24, 1))
    randomize(cell)
    rnn = keras.layers.RNN(cell, return_sequences=True, unroll=unroll)
    windows, glimpses = cell.split_output(rnn(FRAMES))
    expected_windows, expected_glimpses = rolled_out(cell, FRAMES)
    assert np.ptp(expected_windows, axis=1).max() > 1.0
    np.testing.assert_allclose(windows, expected_windows, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(glimpses, expected_glimpses, atol=1e-3)


@pytest.mark.parametrize("make_cell", [None, lambda: keras.layers.GRUCell(8)])
def test_what_it_sees_of_the_window_is_a_state(make_cell):
    cell = RATMCell(
        glimpse_size=SIZE, recurrent_cell=make_cell and make_cell(), sees_window=True
    )
    cell.build((None, 20, 24, 1))
    randomize(cell)
    assert cell.state_size[-3:] == [6, 6, 4]
    assert np.abs(tracked_in_parts(cell)[-1]).max() > 1e-3


def tracked_in_parts(cell):
    """Frames in parts are tracked as the whole; returns the states after."""
    whole = keras.layers.RNN(cell, return_sequences=True)(FRAMES)
    states = cell.get_initial_state(3)
    for start, end in ((0, 1), (1, 4), (4, 6)):
        part, *states = keras.layers.RNN(
            cell, return_sequences=True, return_state=True
        )(FRAMES[:, start:end], initial_state=states)
        np.testing.assert_allclose(part, whole[:, start:end], atol=1e-4)
    return states


def test_scales_are_no_states():
    cell = RATMCell(8, SIZE, scales=(1, 3))
    cell.build((None, 20, 24, 1))
    randomize(cell)
    assert cell.state_size == RATMCell(8, SIZE).state_size
    tracked_in_parts(cell)


def test_scales_show_what_is_beside_the_window():
    """Two frames that differ where the window does not reach."""
    frames = np.stack([FRAMES[:1, 0]] * 2, axis=1)
    frames[:, 1, :, 18:] = 255
    for scales, differ in (((1,), False), ((1, 4), True)):
        cell = RATMCell(8, SIZE, scales=scales, initial_window="given")
        cell.build((None, 20, 24, 1))
        randomize(cell)
        raw = np.float32([[-0.2, 0, 1, 1, 0.3, 0.3]])
        states = cell.get_initial_state(1, raw)
        first, second = (cell(frame, states) for frame in np.moveaxis(frames, 1, 0))
        np.testing.assert_allclose(first[0], second[0], atol=1e-5)
        assert differ == (np.abs(first[1][0] - second[1][0]).max() > 1e-3)


def test_features_describe_each_scale():
    """The same ones, of which the recurrent cell sees a set a scale."""
    seen = []

    class Features(keras.layers.Layer):
        def call(self, glimpses):
            seen.append(glimpses)
            return keras.ops.mean(glimpses, axis=(1, 2))

    cell = RATMCell(8, SIZE, features=Features(), scales=(1, 2))
    cell.build((None, 20, 24, 1))
    assert cell.recurrent_cell.kernel.shape[0] == 2
    activations = np.float32([[0.1, -0.2, 1.5, 1, 0.3, 0.4]] * 3)
    states = cell.get_initial_state(3, activations)
    output, _ = cell(FRAMES[:, 0], states)
    glimpses = np.reshape(seen[-1], [3, 2, *SIZE, 1])
    wide = activations * [1, 1, 2, 2, 2, 2]
    np.testing.assert_allclose(cell.split_output(output)[1], glimpses[:, 0])
    for scale, raw in enumerate((activations, wide)):
        expected = cell.glimpse(FRAMES[:, 0], np.float32(raw))[0] / 255
        np.testing.assert_allclose(glimpses[:, scale], expected, atol=1e-6)


def test_windows_get_gradients_by_every_scale():
    """The gradients are those of finite differences."""
    cell = RATMCell(8, SIZE, scales=(1, 2), initial_window="given")
    cell.build((None, 20, 24, 1))
    randomize(cell)
    first = np.float32([[0.1, -0.2, 1.5, 1.2, 0.3, 0.4]])
    hidden, *_ = cell.get_initial_state(1, first)

    def following(raw):
        """By the features alone: the bias, which it goes back to, is the first."""
        _, states = cell(FRAMES[:1, 0], [hidden, raw, tf.constant(first)])
        return tf.reduce_sum(states[1] ** 2)

    raw = tf.constant(first)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        moved = following(raw)
    gradient = tape.gradient(moved, raw).numpy()[0]
    for number, step in enumerate(1e-2 * np.eye(6, dtype=np.float32)):
        numeric = (following(first + step) - following(first - step)) / 2e-2
        np.testing.assert_allclose(gradient[number], numeric, rtol=5e-2, atol=5e-3)


def test_it_sees_where_a_given_window_is():
    """Frames of one colour look alike everywhere."""
    frames = np.full([2, 3, 20, 24, 1], 100, np.uint8)
    raw = np.float32([[-0.5, 0, 1, 1, 0.3, 0.3], [0.5, 0, 1, 1, 0.3, 0.3]])
    moved = {}
    for sees_window in (False, True):
        cell = RATMCell(8, SIZE, initial_window="given", sees_window=sees_window)
        cell.build((None, 20, 24, 1))
        randomize(cell)
        windows, _ = cell.split_output(
            keras.layers.RNN(cell, return_sequences=True)(
                frames, initial_state=cell.get_initial_state(2, raw)
            )
        )
        moved[sees_window] = windows[:, -1] - windows[:, 0]
    np.testing.assert_allclose(moved[False][0], moved[False][1], atol=1e-3)
    assert np.abs(moved[True][0] - moved[True][1]).max() > 0.1


def test_any_number_of_frames_through_one_function():
    cell = RATMCell(8, SIZE)
    rnn = keras.layers.RNN(cell, return_sequences=True)
    rnn.build((None, None, 20, 24, 1))
    spec = tf.TensorSpec([None, None, 20, 24, 1], tf.uint8)
    compiled = tf.function(rnn, input_signature=[spec])
    whole = compiled(FRAMES)
    for frames in (1, 4):
        np.testing.assert_allclose(
            compiled(FRAMES[:, :frames]), whole[:, :frames], atol=1e-5
        )


@pytest.mark.parametrize(
    "make_cell",
    [
        lambda: keras.layers.GRUCell(8),
        lambda: keras.layers.LSTMCell(8),
        lambda: keras.layers.StackedRNNCells(
            [keras.layers.LSTMCell(8), keras.layers.GRUCell(4)]
        ),
    ],
    ids=["gru", "lstm", "stacked"],
)
def test_any_keras_cell_trains_and_round_trips(make_cell):
    cell = RATMCell(glimpse_size=SIZE, recurrent_cell=make_cell())
    frames = keras.Input([None, 20, 24, 1], dtype="uint8")
    model = keras.Model(frames, keras.layers.RNN(cell, return_sequences=True)(frames))
    assert model.output_shape == (None, None, 41)
    model.compile("adam", "mse")
    model.fit(FRAMES, np.zeros([3, 6, 41], np.float32), verbose=0)
    restored = keras.layers.RNN.from_config(model.layers[-1].get_config())
    restored.build((None, None, 20, 24, 1))
    restored.set_weights(model.get_weights())
    np.testing.assert_allclose(restored(FRAMES), model(FRAMES), atol=1e-6)


def test_features_feed_the_recurrent_cell():
    features = keras.Sequential(
        [keras.layers.Conv2D(3, 3), keras.layers.Dropout(0.5)], name="features"
    )
    cell = RATMCell(8, SIZE, features=features)
    rnn = keras.layers.RNN(cell, return_sequences=True)
    rnn(FRAMES)
    assert cell.recurrent_cell.kernel.shape[0] == 3 * 5 * 3
    randomize(cell)
    np.testing.assert_array_equal(rnn(FRAMES), rnn(FRAMES))
    assert np.any(rnn(FRAMES, training=True) != rnn(FRAMES))
    restored = RATMCell.from_config(cell.get_config())
    assert restored.features.layers[0].filters == 3


@pytest.mark.parametrize("trainable", [False, True])
def test_frozen_features_run_in_inference_mode(trainable):
    """As frozen objectives do."""
    features = keras.Sequential([keras.Input([*SIZE, 1]), keras.layers.Dropout(0.5)])
    features.trainable = trainable
    rnn = keras.layers.RNN(RATMCell(8, SIZE, features=features))
    rnn(FRAMES)
    randomize(rnn.cell)
    same = np.array_equal(rnn(FRAMES, training=True), rnn(FRAMES, training=False))
    assert same != trainable


@pytest.mark.parametrize(
    "make",
    [
        lambda inputs, outputs: lambda glimpse: glimpse,
        lambda inputs, outputs: keras.Model(inputs, [outputs, outputs]),
        lambda inputs, outputs: keras.Model(inputs, {"features": outputs}),
    ],
    ids=["function", "two outputs", "dict"],
)
def test_features_that_are_no_layer_of_one_output_are_named(make):
    inputs = keras.Input([*SIZE, 1])
    features = make(inputs, keras.layers.Flatten()(inputs))
    with pytest.raises(ValueError, match="Expected `features`"):
        RATMCell(8, SIZE, features=features).build((None, 20, 24, 1))


def test_output_is_split_in_a_functional_model(tmp_path):
    for length, return_sequences in ((6, True), (None, True), (None, False)):
        frames = keras.Input([length, 20, 24, 1], dtype="uint8")
        cell = RATMCell(8, SIZE)
        rnn = keras.layers.RNN(cell, return_sequences=return_sequences)
        window, glimpse = cell.split_output(rnn(frames))
        steps = (length,) if return_sequences else ()
        assert glimpse.shape == (None, *steps, *SIZE, 1)
        model = keras.Model(frames, [window, glimpse])
        expected = cell.split_output(rnn(FRAMES))
        model.save(tmp_path / "model.keras")
        for made in (model, keras.saving.load_model(tmp_path / "model.keras")):
            for found, want in zip(made(FRAMES), expected, strict=True):
                np.testing.assert_allclose(found, want, atol=1e-6)


def test_output_size_is_known_once_the_frames_are():
    cell = RATMCell(8, SIZE)
    with pytest.raises(ValueError, match="built cell"):
        cell.output_size  # noqa: B018
    cell.build((None, 20, 24, 3))
    assert cell.output_size == 6 + 5 * 7 * 3
    assert cell.glimpse_shape == (5, 7, 3)


def test_frames_of_other_channels_are_refused():
    rnn = keras.layers.RNN(RATMCell(8, SIZE))
    rnn(FRAMES)
    with pytest.raises(ValueError, match="axis -1.*to have value 1"):
        rnn(np.repeat(FRAMES, 3, axis=-1))


def test_one_size_for_rows_and_columns():
    assert RATMCell(8, 5).glimpse_size == (5, 5)


def test_units_are_those_of_the_recurrent_cell():
    assert RATMCell().units == 100
    gru = keras.layers.GRUCell(8)
    assert RATMCell(8, recurrent_cell=gru).units == 8
    assert RATMCell(recurrent_cell=gru).units == 8
    with pytest.raises(ValueError, match="`units`.*8.*Received: 9"):
        RATMCell(9, recurrent_cell=gru)
    # Files of before hold the default beside any cell.
    config = RATMCell(recurrent_cell=gru).get_config() | {"units": 100}
    assert RATMCell.from_config(config).units == 8


@pytest.mark.parametrize("scales", [(1,), (1, 3)])
def test_uint8_and_float_frames_agree(scales):
    cell = RATMCell(8, SIZE, scales=scales)
    rnn = keras.layers.RNN(cell, return_sequences=True)
    np.testing.assert_allclose(rnn(FRAMES), rnn(FRAMES / np.float32(255)), atol=1e-4)


@pytest.mark.parametrize("scales", [(1,), (1, 3)])
def test_mixed_precision_does_not_drift(scales):
    """Over 60 frames of residual updates, windows stay those of float32."""
    frames = np.tile(FRAMES, [1, 10, 1, 1, 1])
    windows = {}
    for policy in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(3)
        cell = RATMCell(8, SIZE, window_update="residual", scales=scales, dtype=policy)
        rnn = keras.layers.RNN(cell, return_sequences=True, dtype="float32")
        rnn(frames)
        randomize(cell, scale=0.01)
        windows[policy] = cell.split_output(rnn(frames))[0]
        assert cell.recurrent_cell.compute_dtype == policy.removeprefix("mixed_")
    assert windows["mixed_float16"].dtype == tf.float32
    moved = np.ptp(windows["float32"][..., :2], axis=1).max()
    drift = abs(windows["mixed_float16"] - windows["float32"])[..., :2]
    assert np.max(drift) < 0.01 * moved


def test_relative_windows_follow_a_target_of_any_size_and_place():
    """A glimpse that stays the same makes its window go on in units of its size."""
    cell = RATMCell(
        glimpse_size=SIZE,
        recurrent_cell=keras.layers.GRUCell(8),
        window_update="relative",
        initial_window="given",
    )
    cell.build((None, 20, 24, 1))
    randomize(cell)
    first = np.float32([[0.1, -0.2, 1, 1, 0.4, 0.6], [-0.3, 0.1, 0.5, 0.5, 0.2, 0.3]])
    *hidden, large, bias = cell.get_initial_state(2, tf.constant(first))
    states = [*hidden, large, bias]
    for _ in range(3):
        _, states = cell(tf.fill([2, 20, 24, 1], 0.5), states)
    after = states[-2].numpy()
    assert abs(after - first).max() > 0.05
    np.testing.assert_allclose(
        *((after - first)[:, :2] / first[:, 4:]), rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(*(after[:, 2:] / first[:, 2:]), rtol=1e-3)


@pytest.mark.parametrize("recurrent_cell", [None, IRNNCell(8)])
def test_weight_penalty_rules_w_in_and_w(recurrent_cell):
    """In the cell's own IRNN, and in one that it is given."""
    cell = RATMCell(
        8,
        SIZE,
        recurrent_cell=recurrent_cell,
        kernel_regularizer=keras.regularizers.L2(0.2),
    )
    keras.layers.RNN(cell)(FRAMES)
    expected = 0.2 * sum(
        np.sum(np.square(kernel))
        for kernel in (cell.recurrent_cell.kernel, cell.window.kernel)
    )
    np.testing.assert_allclose(sum(cell.losses), expected, rtol=1e-5)


def test_initial_window():
    learned = RATMCell(8, SIZE, initial_sigma=3.0)
    learned.build((None, 20, 24, 1))
    assert any(w.path.endswith("window_bias") for w in learned.trainable_weights)
    state = learned.get_initial_state(2)
    np.testing.assert_array_equal(state[-1], [[0, 0, 3, 3, 1, 1]] * 2)
    given = RATMCell(8, SIZE, initial_window="given")
    given.build((None, 20, 24, 1))
    assert len(given.trainable_weights) == len(learned.trainable_weights) - 1
    first = tf.constant([[0.5, 0.25, 1.0, 1.0, 0.1, 0.2]])
    for state in given.get_initial_state(1, first)[-2:]:
        np.testing.assert_array_equal(state, first)


def test_a_first_window_that_is_given_and_a_bias_that_is_learnt():
    cell = RATMCell(8, SIZE, initial_window="given_first")
    cell.build((None, 20, 24, 1))
    assert any(w.path.endswith("window_bias") for w in cell.trainable_weights)
    randomize(cell)
    first = tf.constant([[0.5, 0.25, 1.0, 1.0, 0.1, 0.2]])
    *_, activations, bias = states = cell.get_initial_state(1, first)
    np.testing.assert_array_equal(activations, first)
    np.testing.assert_array_equal(bias, [cell.window_bias])
    for frame in np.moveaxis(FRAMES[:1], 1, 0):
        _, states = cell(frame, states)
        hidden, activations, _ = states
        expected = hidden @ cell.window.kernel + cell.window_bias
        np.testing.assert_allclose(activations, expected, rtol=1e-5, atol=1e-6)


def test_learnt_initial_window_gets_a_gradient():
    cell = RATMCell(8, SIZE)
    rnn = keras.layers.RNN(cell)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(rnn(FRAMES))
    assert np.any(tape.gradient(loss, cell.window_bias.value))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_update": "sideways"}, "window_update"),
        ({"initial_window": "random"}, "initial_window"),
        ({"glimpse_size": (5, -1)}, "glimpse_size"),
        ({"recurrent_cell": "gru"}, "recurrent_cell.*'gru'"),
        ({"scales": 3.0}, "`scales`.*Received: 3.0"),
        ({"scales": ()}, "`scales`"),
        ({"scales": (3.0, 1.0)}, "`scales`.*first"),
        ({"scales": (1.0, 0.0)}, "`scales`"),
        ({"scales": (1.0, float("inf"))}, "`scales`"),
        ({"scales": (1.0, "2")}, "`scales`"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        RATMCell(**arguments)


def test_wrong_frames_are_named():
    with pytest.raises(ValueError, match="frame.*\\(3, 20, 24\\)"):
        RATMCell(8).build((3, 20, 24))
