import pathlib

import cv2
import h5py
import keras
import numpy as np
import pytest

import ratm_tf
from ratm_tf.features import (
    convolutional_features,
    hidden_features,
    human_cnn,
    import_theano_weights,
)

SHAPES = {
    "conv0_W": (128, 1, 5, 5),
    "bias0_b": (128,),
    "conv1_W": (64, 128, 3, 3),
    "bias1_b": (64,),
    "fc2_W": (3136, 256),
    "fc2_b": (256,),
    "fc3_W": (256, 2),
    "fc3_b": (2,),
}


def theano_weights(path, **others):
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 2 / np.sqrt(np.prod(shape[1:]) + 1), shape)
        for name, shape in SHAPES.items()
    }
    weights["conv0_W"] /= 255
    weights["fc2_W"] = rng.normal(0, 0.02, SHAPES["fc2_W"])
    weights["fc3_W"] = rng.normal(0, 0.05, SHAPES["fc3_W"])
    weights |= others
    with h5py.File(path, "w") as file:
        for name, values in weights.items():
            file[name] = np.float32(values)
    return weights


def convolve(maps, filters):
    """As Theano does: the sum over maps of true convolutions, cut to the same size."""
    rows, columns = maps.shape[1:]
    size = filters.shape[-1]
    half = size // 2
    padded = np.pad(maps, [(0, 0), (half, half), (half, half)])
    result = np.zeros([len(filters), rows, columns])
    for i in range(size):
        for j in range(size):
            part = padded[:, i : i + rows, j : j + columns]
            turned = filters[:, :, size - 1 - i, size - 1 - j]
            result += np.einsum("oc,chw->ohw", turned, part)
    return result


def pooled(maps):
    count, rows, columns = maps.shape
    return maps.reshape(count, rows // 2, 2, columns // 2, 2).max(axis=(2, 4))


def theano_reference(weights, image):
    maps = image[np.newaxis] * 255.0
    for conv, bias in (("conv0_W", "bias0_b"), ("conv1_W", "bias1_b")):
        maps = pooled(convolve(maps, weights[conv]))
        maps = np.maximum(maps + weights[bias][:, np.newaxis, np.newaxis], 0)
    hidden = np.maximum(maps.ravel() @ weights["fc2_W"] + weights["fc2_b"], 0)
    logits = hidden @ weights["fc3_W"] + weights["fc3_b"]
    odds = np.exp(logits - logits.max())
    return maps, hidden, odds / odds.sum()


def test_imported_weights_do_what_theano_does(tmp_path):
    weights = theano_weights(tmp_path / "weights.h5")
    model = import_theano_weights(tmp_path / "weights.h5")
    images = np.random.default_rng(1).random([2, 28, 28, 1]).astype(np.float32)
    for index, image in enumerate(images[..., 0]):
        maps, hidden, classes = theano_reference(weights, image)
        assert maps.std() > 0.1 and hidden.std() > 0.1
        for part, expected in (
            (convolutional_features(model), maps.transpose(1, 2, 0)),
            (hidden_features(model), hidden),
            (model, classes),
        ):
            np.testing.assert_allclose(
                part(images)[index], expected, rtol=1e-3, atol=1e-4
            )


def test_wrong_weights(tmp_path):
    with pytest.raises(FileNotFoundError):
        import_theano_weights(tmp_path / "nothing.h5")
    theano_weights(tmp_path / "weights.h5", fc2_b=np.zeros(10))
    with pytest.raises(ValueError, match=r"`fc2_b`.*\(256,\). Received: \(10,\)"):
        import_theano_weights(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ValueError, match="`conv0_W`.* Received: nothing"):
        import_theano_weights(tmp_path / "empty.h5")


@pytest.mark.parametrize("kind", ["storage", "link"])
def test_weights_that_lie_in_other_files_are_refused(tmp_path, kind):
    """They could be any file of the machine."""
    path, other = tmp_path / "weights.h5", tmp_path / "secret"
    theano_weights(path)
    theano_weights(other)
    with h5py.File(path, "a") as file:
        del file["fc3_b"]
        if kind == "storage":
            file.create_dataset("fc3_b", (2,), "f4", external=[(str(other), 0, 8)])
        else:
            file["fc3_b"] = h5py.ExternalLink(str(other), "fc3_b")
    with pytest.raises(ValueError, match="`fc3_b`.*another file"):
        import_theano_weights(path)


def test_layers_are_the_papers():
    model = human_cnn()
    stage = ["MaxPooling2D", "ReLU"]
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    convolutions = ["GreyConv2D", *stage, "Conv2D", *stage]
    assert kinds == [*convolutions, "Flatten", "Dense", "Dense"]
    assert convolutional_features(model).output_shape == (None, 7, 7, 64)
    assert hidden_features(model).output_shape == (None, 256)


def test_tracker_with_the_parts_is_saved_and_restored(tmp_path):
    model = human_cnn()
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            units=8,
            features=convolutional_features(model),
            initial_window="given",
        ),
        objectives={"hidden": hidden_features(model)},
    )
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, [1, 3, 60, 80, 1]).astype(np.uint8)
    inputs = {"frames": frames, "initial_box": np.float32([[10, 5, 40, 55]])}
    expected = tracker(inputs)
    judged = tracker.objectives["hidden"](expected["glimpses"][0])
    assert judged.shape == (3, 256)
    tracker.save(tmp_path / "tracker.keras")
    restored = keras.saving.load_model(tmp_path / "tracker.keras")
    outputs = restored(inputs)
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(outputs["boxes"], expected["boxes"], **close)
    again = restored.objectives["hidden"](outputs["glimpses"][0])
    np.testing.assert_allclose(again, judged, **close)


def test_pretrained_model_tells_drawn_people_from_streets():
    path = pathlib.Path(ratm_tf.__file__).parent / "pretrained" / "human_cnn.keras"
    assert path.stat().st_size < 2 * 2**20
    model = ratm_tf.load_pretrained("human_cnn")
    assert {weight.dtype for weight in model.weights} == {"float32"}

    rng = np.random.default_rng(0)
    people, streets = [], []
    for shade in (20, 60, 180, 230):
        street = np.tile(rng.integers(80, 150, 48).astype(np.uint8), [96, 1])
        streets.append(street)
        person = cv2.GaussianBlur(street, (9, 1), 0)
        cv2.circle(person, (24, 12), 7, shade, -1)
        cv2.rectangle(person, (14, 20), (34, 55), shade, -1)
        for left in (-1, 1):
            ends = (24 + 5 * left, 55), (24 + 9 * left, 92)
            cv2.line(person, *ends, shade, 7)
        people.append(person)
    small = [
        cv2.resize(x, (28, 28), interpolation=cv2.INTER_AREA) for x in people + streets
    ]
    images = np.stack(small)[..., np.newaxis] / np.float32(255)
    probabilities = model.predict(images, verbose=0)[:, 1]
    assert probabilities[:4].min() > probabilities[4:].max()
