import pickle

import numpy as np
import pytest

import ratm_tf
from ratm_tf.features import efficientnet_features
from tests.features.convolution import convolved
from tests.features.efficientnet import SHAPES, archive, drawn_arrays, normalisation


@pytest.fixture(scope="module")
def arrays():
    return drawn_arrays()


def doubled(x):
    """Bilinear, between the middles of pixels."""
    for axis in (1, 2):
        before = np.concatenate([x.take([0], axis), x], axis).take(
            range(x.shape[axis]), axis
        )
        after = np.concatenate([x, x.take([-1], axis)], axis).take(
            range(1, x.shape[axis] + 1), axis
        )
        halves = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        shape = list(x.shape)
        shape[axis] *= 2
        x = halves.reshape(shape)
    return x


def test_is_the_network_that_the_file_has(arrays, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(archive(arrays))
    glimpses = np.random.default_rng(1).normal(size=[2, 64, 64, 3])
    found = efficientnet_features(path)(glimpses.astype(np.float32))

    x = 0.5 * glimpses
    for name in SHAPES:
        layer = name.rpartition(".")[2]
        if name in ("_blocks.1._expand_conv", "_blocks.2._expand_conv"):
            before = x
        stride = 2 if name in ("_conv_stem", "_blocks.1._depthwise_conv") else 1
        x = convolved(x, arrays[f"{name}.weight"].astype(float), stride)
        bn = normalisation(name)
        gain, bias, mean, variance = (
            arrays[f"{bn}.{part}"].astype(float)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-3) * gain + bias
        if layer != "_project_conv":
            x = np.clip(x, 0, 6)
    np.testing.assert_allclose(found, doubled(x + before), rtol=1e-4, atol=1e-4)


def test_describes_what_a_cell_sees(arrays, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(archive(arrays))
    cell = ratm_tf.CorrelationCell(efficientnet_features(path))
    assert cell.glimpse_shape == (64, 64, 3) and cell.filter.cells == 32


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda x: x.pop("_bn0.bias"), "an array `_bn0.bias`"),
        (lambda x: x.update({"_conv_stem.weight": x["_bn0.bias"]}), "_conv_stem"),
        (lambda x: x.update({"_bn0.bias": x["_bn0.bias"][1:]}), r"_bn0.bias.*\(32,\)"),
        (
            lambda x: x.update(
                {"_blocks.1._expand_conv.weight": x["_blocks.2._expand_conv.weight"]}
            ),
            "_blocks.1._expand_conv",
        ),
    ],
)
def test_other_arrays_are_refused(arrays, tmp_path, changed, message):
    arrays = dict(arrays)
    changed(arrays)
    path = tmp_path / "weights.pth"
    path.write_bytes(archive(arrays))
    with pytest.raises(ValueError, match=message):
        efficientnet_features(path)


class Runs:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 as PyTorch writes today",
        pickle.dumps(Runs()),
        pickle.dumps(1) * 5,
    ],
)
def test_what_is_no_archive_is_refused_and_runs_nothing(content, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="archive of PyTorch"):
        efficientnet_features(path)
    assert capsys.readouterr().out == ""


def test_what_is_cut_short_is_refused(arrays, tmp_path):
    path = tmp_path / "weights.pth"
    whole = archive(arrays)
    for length in (len(whole) - 1, len(whole) // 2, 100):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="archive of PyTorch"):
            efficientnet_features(path)
