"""Saves models in half the space."""

import io
import json
import zipfile

import h5py
import numpy as np

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"

# Options that Keras 3.12, the last for Python 3.10, does not know; None says nothing.
_NEW_OPTIONS = {"input_axes", "output_axes", "quantization_config"}


def save_compact(model, path):
    """Saves a model with its float32 weights rounded to float16.

    Loaded by `keras.saving.load_model`, of Keras 3.12 or later, it has float32 weights
    again, and computes in float32.

    Args:
        model: a built `keras.Model`. Its optimizer is saved, too: leave it uncompiled.
        path: the `.keras` file to write.

    Example:
    >>> import tempfile
    >>> from ratm_tf.pretrained.compact import save_compact
    >>> path = tempfile.mktemp(suffix=".keras")
    >>> save_compact(ratm_tf.features.mnist_cnn(), path)
    >>> keras.saving.load_model(path).weights[0].dtype
    'float32'
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files[_CONFIG] = json.dumps(_known(json.loads(files[_CONFIG])))
    files[_WEIGHTS] = _halved(files[_WEIGHTS])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _known(config):
    """Leaves out what an older Keras does not know and this one does not need."""
    if isinstance(config, list):
        return [_known(item) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        name: _known(value)
        for name, value in config.items()
        if not (value is None and name in _NEW_OPTIONS)
    }


def _halved(content):
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(result, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                copied = target.require_group(name)
            else:
                values = item[()]
                if values.dtype == np.float32:
                    values = values.astype(np.float16)
                copied = target.create_dataset(name, data=values)
            copied.attrs.update(item.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
    return result.getvalue()
