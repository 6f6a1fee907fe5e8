"""Weights in the form in which EfficientNet-Lite0's are published."""

import collections
import io
import pickle
import sys
import types

import numpy as np
import pytest

# Of the kernels.
SHAPES = {
    "_conv_stem": (32, 3, 3, 3),
    "_blocks.0._depthwise_conv": (32, 1, 3, 3),
    "_blocks.0._project_conv": (16, 32, 1, 1),
    "_blocks.1._expand_conv": (96, 16, 1, 1),
    "_blocks.1._depthwise_conv": (96, 1, 3, 3),
    "_blocks.1._project_conv": (24, 96, 1, 1),
    "_blocks.2._expand_conv": (144, 24, 1, 1),
    "_blocks.2._depthwise_conv": (144, 1, 3, 3),
    "_blocks.2._project_conv": (24, 144, 1, 1),
}
ENDS = {"_expand_conv": "bn0", "_depthwise_conv": "bn1", "_project_conv": "bn2"}


def normalisation(name):
    if name == "_conv_stem":
        return "_bn0"
    block, _, layer = name.rpartition(".")
    return f"{block}._{ENDS[layer]}"


def drawn_arrays():
    """Those of the network, in the order in which it has them, and one of later."""
    rng = np.random.default_rng(0)
    found = {}
    for name, shape in SHAPES.items():
        fan = np.prod(shape[1:])
        found[f"{name}.weight"] = rng.normal(size=shape) / np.sqrt(fan)
        bn = normalisation(name)
        found[f"{bn}.weight"] = rng.uniform(0.5, 1.5, shape[0])
        found[f"{bn}.bias"] = rng.normal(size=shape[0])
        found[f"{bn}.running_mean"] = rng.normal(size=shape[0])
        found[f"{bn}.running_var"] = rng.uniform(0.5, 1.5, shape[0])
        found[f"{bn}.num_batches_tracked"] = np.array(7, np.int64)
    found["_fc.weight"] = rng.normal(size=[5, 4])
    return {
        name: x if x.dtype == np.int64 else x.astype(np.float32)
        for name, x in found.items()
    }


class Tensor:
    """Is written as PyTorch writes its tensors: a call with a reference."""

    def __init__(self, key, array):
        self.key, self.array = key, array

    def __reduce__(self):
        strides = [step // self.array.itemsize for step in self.array.strides]
        storage = Storage(self.key, self.array)
        arguments = storage, 0, self.array.shape, tuple(strides), False, {}
        return sys.modules["torch._utils"]._rebuild_tensor_v2, arguments


class Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


def archive(arrays):
    """As PyTorch before 1.6 wrote a dict of tensors."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    kinds = {np.float32: "FloatStorage", np.int64: "LongStorage"}
    for name in kinds.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                kind = getattr(torch, kinds[thing.array.dtype.type])
                return "storage", kind, thing.key, "cpu", thing.array.size, None

    file = io.BytesIO()
    tensors = collections.OrderedDict(
        (name, Tensor(str(number), array))
        for number, (name, array) in enumerate(arrays.items())
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", utils)
        for thing in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, tensors):
            Pickler(file, protocol=2).dump(thing)
    # Numbers need not come in the order of the tensors.
    keys = [str(number) for number in reversed(range(len(arrays)))]
    pickle.dump(keys, file, protocol=2)
    for array in reversed(arrays.values()):
        file.write(np.int64(array.size).tobytes() + array.tobytes())
    return file.getvalue()
