"""Every public layer, cell, model, loss, metric and regulariser, by Keras's rules."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf import (
    CorrelationCell,
    GaussianGlimpse,
    IRNNCell,
    MeanIoU,
    RATMCell,
    Tracker,
)
from ratm_tf.features import EvenBrightness, GreyConv2D, InvertedResidual
from ratm_tf.objectives import (
    LocalizationLoss,
    OverlapLoss,
    PixelLoss,
    RelativeBoxLoss,
    WeightPenalty,
)
from tests import layer_test

RNG = np.random.default_rng(0)
SIZE = (3, 4)
FRAMES = RNG.integers(0, 256, [2, 4, 9, 10, 1], np.uint8)
VECTORS = RNG.normal(size=[2, 4, 3]).astype(np.float32)
IMAGES = RNG.random([2, 9, 10, 1], np.float32)
ACTIVATIONS = RNG.normal(size=[2, 6]).astype(np.float32)
BOXES = np.sort(RNG.uniform(0, 10, [2, 4, 2, 2, 2]).astype(np.float32), axis=3)
TRUE, PREDICTED = np.moveaxis(BOXES.reshape([2, 4, 2, 4]), 2, 0)
FIRST = np.float32([[1, 2, 6, 7], [3, 1, 8, 6]])


@keras.saving.register_keras_serializable(package="tests")
class Halved(keras.layers.Layer):
    """Features as a user first writes them: a `call`, and no more."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(6)

    def call(self, glimpses):
        return self.dense(keras.layers.Flatten()(glimpses) / 2.0)


@keras.saving.register_keras_serializable(package="tests")
class Leaky(keras.layers.Layer):
    """A cell that Keras takes: without `get_initial_state` and `output_size`."""

    state_size = 5

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(5)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, inputs, states):
        hidden = keras.ops.tanh(self.dense(inputs)) + 0.9 * states[0]
        return hidden, [hidden]


def features():
    return keras.Sequential(
        [
            keras.Input([*SIZE, 1]),
            GreyConv2D(2, 2),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
        ]
    )


def stacked(**dropout):
    return keras.layers.StackedRNNCells(
        [keras.layers.LSTMCell(6, **dropout), keras.layers.GRUCell(5, **dropout)]
    )


def cell(units=None, **arguments):
    return RATMCell(units, SIZE, **arguments)


LAYERS = {
    "GaussianGlimpse": (GaussianGlimpse, (SIZE,), {}, (IMAGES, ACTIVATIONS)),
    "GaussianGlimpse of windows": (
        GaussianGlimpse,
        (3,),
        {"return_window": True},
        (IMAGES, np.stack([ACTIVATIONS] * 2, axis=1)),
    ),
    "EvenBrightness": (EvenBrightness, (0.2,), {}, (IMAGES,)),
    "GreyConv2D": (GreyConv2D, (2, 3), {"padding": "same"}, (IMAGES,)),
    "InvertedResidual": (InvertedResidual, (6, 1), {}, (IMAGES,)),
}
CELLS = {
    "IRNNCell": lambda: IRNNCell(5, kernel_regularizer=WeightPenalty(0.1)),
    "RATMCell": lambda: cell(5, kernel_regularizer=WeightPenalty(0.1)),
    "residual": lambda: cell(5, window_update="residual"),
    "relative": lambda: cell(5, window_update="relative"),
    "sees window": lambda: cell(5, sees_window=True),
    "scales": lambda: cell(5, scales=(1, 2.5), features=features()),
    "given": lambda: cell(5, initial_window="given"),
    "GRU": lambda: cell(recurrent_cell=keras.layers.GRUCell(5)),
    "stacked": lambda: cell(recurrent_cell=stacked()),
    "own cell": lambda: cell(recurrent_cell=Leaky()),
    "own features": lambda: cell(5, features=Halved()),
    "features": lambda: cell(5, features=features()),
}
DROPOUTS = {
    "GRU": lambda: keras.layers.GRUCell(20, dropout=0.5),
    "LSTM": lambda: keras.layers.LSTMCell(20, dropout=0.5, recurrent_dropout=0.2),
    "SimpleRNN": lambda: keras.layers.SimpleRNNCell(20, recurrent_dropout=0.5),
    "stacked": lambda: stacked(dropout=0.5, recurrent_dropout=0.5),
}


def tracker(**arguments):
    subject = Tracker(cell(5), **arguments)
    subject.build({"frames": (None, *FRAMES.shape[1:])})
    return subject


def shared():
    encoder = features()
    subject = Tracker(
        cell(5, features=encoder),
        objectives={
            "features": encoder,
            "classes": keras.Sequential([encoder, keras.layers.Dense(3)]),
        },
    )
    subject.build({"frames": (None, *FRAMES.shape[1:])})
    return subject


def given():
    subject = Tracker(
        cell(recurrent_cell=stacked(dropout=0.5), initial_window="given"),
        box_scale=1.5,
        box="corner",
        unroll=False,
    )
    subject.build({"frames": (None, *FRAMES.shape[1:])})
    return subject


def correlation():
    subject = Tracker(
        CorrelationCell(
            keras.Sequential(
                [
                    keras.Input([16, 16, 1]),
                    keras.layers.Conv2D(4, 3, strides=2, padding="same"),
                ]
            ),
            units=3,
        )
    )
    subject.build({"frames": (None, *FRAMES.shape[1:])})
    return subject


VIDEO = {"frames": FRAMES}
TRACKERS = {
    "Tracker": (tracker, VIDEO),
    "given": (given, VIDEO | {"initial_box": FIRST}),
    "objectives": (lambda: tracker(objectives={"features": features()}), VIDEO),
    "shared": (shared, VIDEO),
    "correlation": (correlation, VIDEO | {"initial_box": FIRST}),
}
LOSSES = {
    "PixelLoss": (PixelLoss, RNG.random([2, 2, 4, 3, 4, 1], np.float32)),
    "LocalizationLoss": (lambda: LocalizationLoss((9, 10)), (TRUE, PREDICTED)),
    "LocalizationLoss of lines": (
        lambda: LocalizationLoss((1, 10)),
        (TRUE, PREDICTED),
    ),
    "RelativeBoxLoss": (RelativeBoxLoss, (TRUE, PREDICTED)),
    "OverlapLoss": (OverlapLoss, (TRUE, PREDICTED)),
}
METRICS = {
    "MeanIoU": MeanIoU,
    "of sequences": lambda: MeanIoU(average="sequences"),
    "span": lambda: MeanIoU(frames=(2, 3)),
}


def table(entries):
    return pytest.mark.parametrize("entry", entries.values(), ids=entries)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def parts(subject):
    """What may be frozen, each alone."""
    if isinstance(subject, Tracker):
        return [subject, *parts(subject.loop), *subject.objectives.values()]
    if isinstance(subject.cell, CorrelationCell):
        return [subject.cell, subject.cell.features, subject.cell.recurrent_cell]
    if not isinstance(subject.cell, RATMCell):
        return [subject.cell]
    inner = subject.cell
    return [inner, *filter(None, (inner.recurrent_cell, inner.features, inner.window))]


def sequence(make_cell):
    """The cell's layer and its inputs."""
    sequences = VECTORS if isinstance(make_cell(), IRNNCell) else FRAMES
    return lambda: keras.layers.RNN(make_cell(), return_sequences=True), [sequences]


@pytest.mark.parametrize("check", ["call", "gradients", "saving", "mixed_precision"])
@table(LAYERS)
def test_layers(entry, check, tmp_path):
    layer, arguments, options, inputs = entry
    more = {"path": tmp_path / "model.keras"} if check == "saving" else {}
    getattr(layer_test, f"check_{check}")(
        lambda: layer(*arguments, **options), inputs, **more
    )


@pytest.mark.parametrize("check", ["call", "gradients", "saving", "mixed_precision"])
@table(CELLS)
def test_cells_in_sequences(entry, check, tmp_path):
    make, inputs = sequence(entry)
    more = {}
    if check == "saving":
        more = {"path": tmp_path / "model.keras", "parts": parts}
    getattr(layer_test, f"check_{check}")(make, inputs, **more)


@table(CELLS)
def test_cells_masked_stateful_and_unrolled(entry):
    make, (sequences,) = sequence(entry)
    layer_test.check_masks(make(), sequences)
    layer_test.check_stateful(entry, sequences)
    layer_test.check_unrolling(entry, sequences)


CONFIGURED = {
    name: lambda entry=entry: entry[0](*entry[1], **entry[2])
    for name, entry in LAYERS.items()
}
CONFIGURED |= CELLS | METRICS | {name: make for name, (make, _) in LOSSES.items()}
CONFIGURED |= {
    f"dropout in {name}": lambda make=make: cell(recurrent_cell=make())
    for name, make in DROPOUTS.items()
}
CONFIGURED |= {f"{name} tracker": make for name, (make, _) in TRACKERS.items()}
CONFIGURED["CorrelationCell"] = lambda: correlation().cell
CONFIGURED["WeightPenalty"] = lambda: WeightPenalty(0.1)


@table(CONFIGURED)
def test_configs(entry):
    layer_test.check_config(entry)


@table(DROPOUTS)
def test_dropout_is_that_of_keras(entry):
    """One mask for all steps of a sequence, another for the next, any batch size."""
    inner = entry()
    subject = cell(recurrent_cell=inner)
    rnn = keras.layers.RNN(subject, return_sequences=True)
    np.testing.assert_array_equal(rnn(FRAMES), rnn(FRAMES))
    seeds = [v for v in subject.variables if "seed" in v.name]
    assert seeds, "there is dropout"
    for training_rnn in (rnn, tf.function(rnn)):
        for frames in (FRAMES, FRAMES[:1]):
            before = [variable.numpy() for variable in seeds]
            windows, glimpses = subject.split_output(
                training_rnn(frames, training=True)
            )
            for variable, value in zip(seeds, before, strict=True):
                variable.assign(value)
            hidden = keras.layers.RNN(inner, return_sequences=True)(
                glimpses.numpy().reshape([len(frames), 4, -1]), training=True
            )
            raw = subject.window(hidden) + subject.window_bias
            span = [9, 8, 1, 1, 9 / 3, 8 / 2]
            expected = np.concatenate(
                [
                    (raw[..., :2] + 1) / 2,
                    np.maximum(abs(raw[..., 2:]), [0.25, 0.25, 0, 0]),
                ],
                axis=-1,
            )
            np.testing.assert_allclose(
                windows[:, 1:], (expected * span)[:, :-1], rtol=1e-4, atol=1e-5
            )
            again = training_rnn(frames, training=True)
            assert np.any(again[..., :6] != windows)


@pytest.mark.parametrize(
    "make",
    [
        CELLS["features"],
        lambda: cell(recurrent_cell=DROPOUTS["SimpleRNN"]()),
        lambda: cell(recurrent_cell=DROPOUTS["stacked"]()),
    ],
    ids=["features", "SimpleRNN", "stacked"],
)
def test_dropout_trains_in_executions_of_several_steps(make):
    layer_test.check_training(*sequence(make))


@table(TRACKERS)
def test_trackers(entry, tmp_path):
    make, inputs = entry
    layer_test.check_call(make, [inputs])
    layer_test.check_saving(make, inputs, tmp_path / "tracker.keras", parts)
    layer_test.check_mixed_precision(make, [inputs], tolerance=5e-2)


@pytest.mark.parametrize("name", ["Tracker", "given"])
def test_trackers_train_in_executions_of_several_steps(name):
    layer_test.check_training(*TRACKERS[name])


@table(LOSSES)
def test_losses(entry):
    make, (true, predicted) = entry
    layer_test.check_loss(make, true, predicted)


@table(METRICS)
def test_metrics(entry):
    layer_test.check_metric(entry, TRUE, PREDICTED)


def test_every_public_class_is_here():
    bases = (keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric)
    bases += (keras.regularizers.Regularizer,)
    public = [
        getattr(module, name)
        for module in (ratm_tf, ratm_tf.attention, ratm_tf.features, ratm_tf.objectives)
        for name in module.__all__
        if name[0].isupper()
    ]
    tested = {type(make()) for make in CONFIGURED.values()}
    tested.add(ratm_tf.attention.GlimpseCell)  # by the cells that it is the base of
    assert {value for value in public if issubclass(value, bases)} <= tested
