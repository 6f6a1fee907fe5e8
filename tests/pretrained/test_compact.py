import keras
import numpy as np

from ratm_tf.features import human_cnn
from ratm_tf.pretrained.compact import save_compact


def test_half_the_size_and_float32_again(tmp_path):
    model = human_cnn()
    model.save(tmp_path / "full.keras")
    save_compact(model, tmp_path / "compact.keras")
    sizes = [
        (tmp_path / name).stat().st_size for name in ("compact.keras", "full.keras")
    ]
    assert sizes[0] < 0.51 * sizes[1] and sizes[0] < 2 * 2**20

    restored = keras.saving.load_model(tmp_path / "compact.keras")
    for ours, theirs in zip(restored.weights, model.weights, strict=True):
        assert ours.dtype == "float32"
        expected = theirs.numpy().astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(ours.numpy(), expected)
    images = np.random.default_rng(0).random([4, 28, 28, 1]).astype(np.float32)
    np.testing.assert_allclose(restored(images), model(images), atol=2e-3)
