import sys

import keras
import pytest

import ratm_tf
from ratm_tf.cli.tracker import load_tracker


def test_loads_what_the_flag_names(set_flags, tmp_path):
    set_flags(model="pretrained:bouncing_balls")
    tracker = load_tracker()
    assert isinstance(tracker, ratm_tf.Tracker)
    tracker.save(tmp_path / "mine.keras")
    set_flags(model=str(tmp_path / "mine.keras"))
    assert isinstance(load_tracker(), ratm_tf.Tracker)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("pretrained:nobody", "pretrained:nobody.*moving_mnist"),
        ("pretrained:../boxes", "pretrained:../boxes"),
        ("nothing.keras", "no such file"),
        ("pretrained:mnist_cnn", "a tracker.*Functional"),
        (__file__, "test_tracker.py.*format"),
    ],
)
def test_what_is_no_tracker_is_named(set_flags, model, message):
    set_flags(model=model)
    with pytest.raises(ValueError, match=f"--model.*{message}"):
        load_tracker()


CLASSES = """
import keras
@keras.saving.register_keras_serializable(package="mine")
class Halved(keras.layers.Layer):
    def call(self, x):
        return x / 2.0
"""


def test_classes_of_ones_own_come_with_their_module(set_flags, tmp_path, monkeypatch):
    (tmp_path / "own_classes.py").write_text(CLASSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import own_classes

    cell = ratm_tf.RATMCell(4, (5, 5), features=own_classes.Halved())
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": (None, None, 20, 20, 1)})
    tracker.save("mine.keras")
    del sys.modules["own_classes"]
    keras.saving.get_custom_objects().pop("mine>Halved")

    set_flags(model="mine.keras")
    with pytest.raises(ValueError, match="--model.*Halved.*--import=MODULE"):
        load_tracker()
    set_flags(**{"import": ["own_classes"]})
    assert type(load_tracker().cell.features).__name__ == "Halved"
