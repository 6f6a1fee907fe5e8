import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ratm_tf import IRNNCell


@pytest.mark.parametrize("use_bias", [False, True])
def test_is_the_papers_recurrence(use_bias):
    cell = IRNNCell(4, scale=0.9, use_bias=use_bias, dtype="float64")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=[2, 6, 3])
    rnn = keras.layers.RNN(cell, return_sequences=True, dtype="float64")
    rnn.build(inputs.shape)
    np.testing.assert_array_equal(cell.recurrent_kernel, 0.9 * np.eye(4))
    cell.set_weights([rng.normal(size=weight.shape) for weight in cell.weights])

    w_in, w_rec, *biases = cell.get_weights()
    assert len(biases) == use_bias
    hidden, expected = np.zeros([2, 4]), []
    for x in np.moveaxis(inputs, 1, 0):
        hidden = np.maximum(x @ w_in + hidden @ w_rec + sum(biases), 0)
        expected.append(hidden)
    np.testing.assert_allclose(rnn(inputs), np.stack(expected, axis=1), rtol=1e-12)


def test_round_trips():
    cell = IRNNCell(
        4, scale=0.5, kernel_regularizer=keras.regularizers.L2(0.1), use_bias=False
    )
    restored = IRNNCell.from_config(cell.get_config())
    restored.build([None, 3])
    assert len(restored.weights) == 2
    np.testing.assert_array_equal(restored.recurrent_kernel, 0.5 * np.eye(4))
    np.testing.assert_allclose(
        restored.losses, [0.1 * np.sum(np.square(restored.kernel))], rtol=1e-6
    )


@pytest.mark.parametrize("units", [0, -1, 1.5])
def test_wrong_units_are_named(units):
    with pytest.raises(ValueError, match="`units`.*positive integer"):
        IRNNCell(units)


def test_graph_optimiser_does_not_give_up_on_training():
    program = """
import numpy as np, ratm_tf
tracker = ratm_tf.Tracker(ratm_tf.RATMCell(units=8, glimpse_size=(4, 4)))
tracker.compile("sgd", loss={"boxes": "mse"})
inputs = {"frames": np.zeros([2, 3, 9, 9, 1], np.float32)}
tracker.fit(inputs, {"boxes": np.zeros([2, 3, 4], np.float32)}, 2, verbose=0)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "function optimization failure" not in result.stderr
