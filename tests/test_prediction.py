import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf

FRAMES = np.random.default_rng(0).integers(0, 256, [5, 4, 20, 24, 1], np.uint8)
BOXES = np.tile([4.0, 5.0, 12.0, 14.0], [5, 1])


@pytest.fixture(params=["learned", "given"])
def tracker(request):
    keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(8, (8, 8), initial_window=request.param)
    return ratm_tf.Tracker(cell)


def inputs_of(tracker, dtype="uint8"):
    frames = FRAMES if dtype == "uint8" else (FRAMES / 255).astype(dtype)
    if tracker.starts_on_target:
        return {"frames": frames, "initial_box": BOXES}
    return {"frames": frames}


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("batch_size", [None, 2, 5])
def test_arrays_are_predicted_as_keras_does(tracker, dtype, batch_size):
    x = inputs_of(tracker, dtype)
    found = tracker.predict(x, batch_size, verbose=0)
    expected = keras.Model.predict(tracker, x, batch_size, verbose=0)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert type(found[name]) is np.ndarray and found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


def test_so_are_frames_alone_and_other_data():
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, (8, 8)))
    expected = tracker.predict({"frames": FRAMES}, verbose=0)["boxes"]
    data = tf.data.Dataset.from_tensor_slices({"frames": FRAMES}).batch(2)
    endless = data.repeat()
    for found in (
        tracker.predict(FRAMES, verbose=0),
        tracker.predict(tf.constant(FRAMES), verbose=0),
        tracker.predict(data, verbose=0),
        tracker.predict(FRAMES, batch_size=1, steps=5, verbose=0),
    ):
        np.testing.assert_allclose(found["boxes"], expected, rtol=1e-5)
    assert len(tracker.predict(endless, steps=1, verbose=0)["boxes"]) == 2


def test_examples_that_lack_an_input_are_refused():
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(8, (8, 8), initial_window="given"))
    for count in (3, 0):
        x = {"frames": FRAMES[: 2 * count], "initial_box": BOXES[:count]}
        with pytest.raises(ValueError, match="examples.*'initial_box': " + str(count)):
            tracker.predict(x, verbose=0)


def test_callbacks_hear_of_it(tracker, capsys):
    heard = []

    class Listener(keras.callbacks.Callback):
        def on_predict_begin(self, logs=None):
            heard.append("begin")

        def on_predict_batch_end(self, batch, logs=None):
            heard.append((batch, len(logs["boxes"])))
            self.model.stop_predicting = batch == 1 and self.params["steps"] == 3

        def on_predict_end(self, logs=None):
            heard.append("end")

    x = inputs_of(tracker)
    outputs = tracker.predict(x, batch_size=2, verbose=0, callbacks=[Listener()])
    assert heard == ["begin", (0, 2), (1, 2), "end"]
    assert {len(values) for values in outputs.values()} == {4}
    assert capsys.readouterr().out == ""
    heard.clear()
    tracker.predict(x, batch_size=3, verbose=1, callbacks=[Listener()])
    assert heard == ["begin", (0, 3), (1, 2), "end"]
    assert "2/2" in capsys.readouterr().out
