import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.attention.recurrence import Stream, available, recurrence
from tests.attention import reference

pytestmark = pytest.mark.skipif(not available(), reason="needs the fused op, no GPU")

B, T, H, W, C, SIZE, SIGMA = 3, 4, 13, 17, 2, (5, 4), 0.5
FIRST = [0.1, -0.1, 1.0, -1.5, 0.4, -0.6]


def draw(units, dtype="float32", batch=B, videos=B):
    """Frames, and the other seven inputs as float64."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, [videos, T, H, W, C])
    inputs = np.prod(SIZE) * C
    return np.asarray(frames if dtype == "uint8" else frames / 255, dtype), [
        FIRST + 0.1 * rng.normal(size=[batch, 6]),
        rng.random([batch, units]),
        FIRST + 0.1 * rng.normal(size=[batch, 6]),
        rng.normal(size=[inputs, units]) / np.sqrt(inputs),
        rng.normal(size=[units, units]) / np.sqrt(units),
        rng.normal(size=units),
        0.3 * rng.normal(size=[units, 6]) / np.sqrt(units),
    ]


def paper(frames, activations, hidden, window_bias, kernel, recurrent, bias, window):
    """Eq. 1-12 in float64."""
    frames = frames / (255 if frames.dtype == np.uint8 else 1)
    frames = np.broadcast_to(frames, [len(hidden), *frames.shape[1:]])
    unit = [(W - 1) / 2, (H - 1) / 2, 1, 1, (W - 1) / (SIZE[1] - 1)]
    unit.append((H - 1) / (SIZE[0] - 1))
    windows, glimpses = [], []
    for frame in frames.swapaxes(0, 1):
        center, sigma, stride = np.split(activations, 3, axis=1)
        sigma = np.maximum(np.abs(sigma), SIGMA)
        windows.append(np.concatenate([center + 1, sigma, np.abs(stride)], 1) * unit)
        glimpses.append(reference.glimpse(frame, windows[-1][:, None], SIZE)[:, 0])
        seen = glimpses[-1].reshape([len(hidden), -1])
        hidden = np.maximum(seen @ kernel + hidden @ recurrent + bias, 0)
        activations = hidden @ window + window_bias
    return np.stack(windows, 1), np.stack(glimpses, 1), hidden, activations


def run(frames, inputs):
    inputs = [tf.cast(x, tf.float32) for x in inputs]
    return recurrence(tf.constant(frames), *inputs, SIZE, SIGMA)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("units", [1, 7, 40])
@pytest.mark.parametrize(("batch", "videos"), [(1, 1), (3, 3), (9, 9), (5, 1)])
def test_is_the_papers_recurrence(dtype, units, batch, videos):
    frames, inputs = draw(units, dtype, batch, videos)
    for found, expected in zip(
        run(frames, inputs), paper(frames, *inputs), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("units", "batch", "videos"), [(7, 3, 3), (40, 9, 9), (9, 5, 1)]
)
def test_gradients_are_slopes_of_the_papers(dtype, units, batch, videos):
    frames, inputs = draw(units, dtype, batch, videos)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=x.shape) for x in paper(frames, *inputs)]

    def loss(*inputs):
        parts = zip(paper(frames, *inputs), weights, strict=True)
        return sum(np.sum(part * weight) for part, weight in parts)

    variables = [tf.constant(x, tf.float32) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        outputs = run(frames, variables)
    upstream = [tf.constant(weight, tf.float32) for weight in weights]
    for i, gradient in enumerate(tape.gradient(outputs, variables, upstream)):
        direction = rng.normal(size=inputs[i].shape)
        step = 1e-5 / np.linalg.norm(direction)
        moved = [
            [*inputs[:i], inputs[i] + sign * step * direction, *inputs[i + 1 :]]
            for sign in (1, -1)
        ]
        slope = (loss(*moved[0]) - loss(*moved[1])) / (2 * step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(np.sum(gradient * direction) - slope) < 2e-4 * scale


def test_second_derivatives():
    frames, inputs = draw(7)
    inputs = [tf.constant(x, tf.float32) for x in inputs]
    directions = [tf.random.stateless_normal(x.shape, (0, 1)) for x in inputs]

    def slope(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            windows, glimpses, _, _ = run(frames, inputs)
            loss = tf.reduce_sum(windows**2) / 100 + tf.reduce_sum(glimpses**2)
        gradients = tape.gradient(loss, inputs)
        return sum(
            tf.reduce_sum(gradient * direction)
            for gradient, direction in zip(gradients, directions, strict=True)
        )

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = slope(inputs)
    second = sum(
        tf.reduce_sum(gradient * direction)
        for gradient, direction in zip(
            tape.gradient(value, inputs), directions, strict=True
        )
    )
    step = 1e-3
    ahead, behind = (
        slope([x + sign * step * d for x, d in zip(inputs, directions, strict=True)])
        for sign in (1, -1)
    )
    np.testing.assert_allclose(second, (ahead - behind) / (2 * step), rtol=0.05)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_a_cell_tracks_as_in_a_loop(dtype, given, use_bias):
    rng = np.random.default_rng(1)
    cell = ratm_tf.RATMCell(
        recurrent_cell=ratm_tf.IRNNCell(7, use_bias=use_bias),
        glimpse_size=SIZE,
        initial_window="given" if given else "learned",
        min_sigma=SIGMA,
    )
    cell.build([None, H, W, C])
    assert cell.plain
    for weight in cell.weights:
        weight.assign(weight + 0.2 * rng.normal(size=weight.shape))
    frames = tf.constant(draw(7, dtype)[0])
    first = tf.constant(FIRST + 0.1 * rng.normal(size=[B, 6]), tf.float32)
    loop = keras.layers.RNN(cell, return_sequences=True)
    weights = [rng.normal(size=[B, T, 6]), rng.normal(size=[B, T, *SIZE, C])]

    def both(track):
        with tf.GradientTape() as tape:
            tape.watch(first)
            parts = track(cell.get_initial_state(B, first if given else None))
            loss = sum(
                tf.reduce_sum(part * weight)
                for part, weight in zip(parts, weights, strict=True)
            )
        sources = [weight.value for weight in cell.trainable_weights]
        return parts, tape.gradient(loss, sources + [first] * given)

    parts, gradients = both(tf.function(lambda states: cell.track(frames, states)[0]))
    expected_parts, expected = both(
        lambda states: cell.split_output(loop(frames, initial_state=states))
    )
    for part, expected_part in zip(parts, expected_parts, strict=True):
        np.testing.assert_allclose(part, expected_part, rtol=1e-4, atol=1e-5)
    assert len(gradients) == 4 + use_bias
    for gradient, by_loop in zip(gradients, expected, strict=True):
        scale = np.max(np.abs(by_loop))
        assert scale > 0
        np.testing.assert_allclose(gradient / scale, by_loop / scale, atol=1e-4)


def test_states_go_on_from_frame_to_frame():
    cell = ratm_tf.RATMCell(7, SIZE)
    cell.build([None, H, W, C])
    cell.window.kernel.assign(tf.random.stateless_normal([7, 6], (0, 1)))
    frames = tf.constant(draw(7)[0])
    (whole, _), expected = cell.track(frames, cell.get_initial_state(B))
    (_, _), states = cell.track(frames[:, :1], cell.get_initial_state(B))
    (rest, _), states = cell.track(frames[:, 1:], states)
    np.testing.assert_allclose(rest, whole[:, 1:], rtol=1e-5)
    for state, expected_state in zip(states, expected, strict=True):
        np.testing.assert_allclose(state, expected_state, rtol=1e-5, atol=1e-6)


def test_lengths_that_no_graph_knows():
    frames, inputs = draw(7)
    function = tf.function(
        lambda frames: recurrence(
            frames, *(tf.cast(x, tf.float32) for x in inputs), SIZE, SIGMA
        ),
        input_signature=[tf.TensorSpec([None] * 5, tf.float32)],
    )
    for found, expected in zip(function(frames), run(frames, inputs), strict=True):
        np.testing.assert_array_equal(found, expected)
    windows, _, hidden, _ = function(frames[:, :0])
    assert windows.shape == [B, 0, 6]
    np.testing.assert_array_equal(hidden, np.float32(inputs[1]))


def test_what_is_no_number_stays_in_its_sequence():
    frames, inputs = draw(7)
    inputs[0][1, 0] = np.nan
    found = run(frames, inputs)
    expected = run(*draw(7))
    assert np.isnan(found[0][1, :, 0]).all() and np.isnan(found[1][1]).all()
    for b in (0, 2):
        np.testing.assert_array_equal(found[0][b], expected[0][b])


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        (0, [2, T, H, W, C]),
        (0, [B, T, 0, W, C]),
        (1, [B, 5]),
        (2, [B + 1, 7]),
        (2, [B, 0]),
        (3, [1, 6]),
        (4, [39, 7]),
        (5, [7, 8]),
        (6, [8]),
        (7, [7, 5]),
    ],
)
def test_shapes_that_do_not_fit_are_refused(index, shape):
    frames, inputs = draw(7)
    arguments = [frames, *inputs]
    arguments[index] = np.zeros(shape)
    arguments = [tf.cast(x, tf.float32) for x in arguments]
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match="shape"):
        recurrence(*arguments, SIZE, SIGMA)
    with pytest.raises(ValueError, match="rank"):
        tf.function(lambda *x: recurrence(*x, SIZE, SIGMA))(*arguments[::-1])


@pytest.mark.parametrize(
    "arguments",
    [
        {"features": keras.layers.Flatten()},
        {"recurrent_cell": keras.layers.GRUCell(8)},
        {"scales": (1, 2)},
        {"sees_window": True},
        {"window_update": "residual"},
        {"dtype": "mixed_bfloat16"},
        {"implementation": "tf"},
        {"recurrent_cell": ratm_tf.IRNNCell(8, activity_regularizer="l2")},
    ],
)
def test_cells_of_another_kind_are_not_plain(arguments):
    cell = ratm_tf.RATMCell(glimpse_size=SIZE, **arguments)
    cell.build([None, H, W, C])
    assert not cell.plain


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("units", "batch"), [(7, 1), (40, 5)])
def test_a_stream_is_the_papers_recurrence(dtype, units, batch):
    frames, inputs = draw(units, dtype, batch, videos=1)
    activations, hidden, bias, *weights = inputs
    stream = Stream((H, W, C), (activations, hidden, bias), weights, SIZE, SIGMA)
    expected = paper(frames, *inputs)
    for t, frame in enumerate(frames[0]):
        windows, glimpses = stream(frame)
        np.testing.assert_allclose(windows, expected[0][:, t], rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(glimpses, expected[1][:, t], rtol=1e-4, atol=2e-5)


def test_a_stream_refuses_what_does_not_fit():
    _, inputs = draw(7)
    frame = np.zeros((H, W, C), np.float32)

    def stream(inputs):
        activations, hidden, bias, *weights = inputs
        return Stream((H, W, C), (activations, hidden, bias), weights, SIZE, SIGMA)

    for index, array in enumerate(inputs):
        others = [*inputs[:index], array[:-1], *inputs[index + 1 :]]
        with pytest.raises(ValueError, match="shapes"):
            stream(others)
    for other in (frame[:-1], frame[..., :1], frame[..., 0]):
        with pytest.raises(ValueError, match="shape"):
            stream(inputs)(other)
    with pytest.raises(TypeError, match="uint8 or float32"):
        stream(inputs)(frame.astype(np.float64))
