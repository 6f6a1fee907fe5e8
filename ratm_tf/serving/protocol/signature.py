"""What a served model's signatures take and give."""

import dataclasses
import importlib

import numpy as np

_NUMPY = {
    "BOOL": "bool",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
    "DOUBLE": "float64",
    "FLOAT": "float32",
    "HALF": "float16",
    "STRING": "object",
} | {
    f"{sign.upper()}INT{bits}": f"{sign}int{bits}"
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """A tensor that a signature takes or gives.

    Attributes:
        type_name: of TensorFlow's type, as messages have it, such as `DT_FLOAT`.
        shape: tuple of sizes, None where any will do; or None for any rank.
    """

    type_name: str
    shape: tuple | None

    @property
    def dtype(self):
        """The NumPy dtype; that of objects for strings, which are bytes.

        Raises:
            ValueError: NumPy has no such type.
        """
        name = self.type_name.removeprefix("DT_")
        if name == "BFLOAT16":
            return np.dtype(importlib.import_module("ml_dtypes").bfloat16)
        if name not in _NUMPY:
            raise ValueError(f"Expected a type of NumPy's. Received: {self.type_name}")
        return np.dtype(_NUMPY[name])


@dataclasses.dataclass(frozen=True)
class Signature:
    """One of the functions of a served model.

    Attributes:
        inputs: dict of `TensorInfo` by name.
        outputs: dict of `TensorInfo` by name.
    """

    inputs: dict
    outputs: dict

    @classmethod
    def from_json(cls, definition):
        """Reads a `SignatureDef` message in JSON.

        Args:
            definition: decoded JSON, as the REST API's `/metadata` has it.

        Returns:
            A `Signature`.

        Raises:
            AttributeError, TypeError, ValueError: the JSON has another form.

        Example:
        >>> from ratm_tf.serving.protocol.signature import Signature
        >>> shape = {"dim": [{"size": "-1"}, {"size": "4"}]}
        >>> boxes = {"dtype": "DT_FLOAT", "tensor_shape": shape}
        >>> Signature.from_json({"outputs": {"boxes": boxes}}).outputs["boxes"]
        TensorInfo(type_name='DT_FLOAT', shape=(None, 4))
        """
        return cls(
            *(
                {name: _info(info) for name, info in definition.get(side, {}).items()}
                for side in ("inputs", "outputs")
            )
        )


def _info(info):
    type_name, shape = info.get("dtype", "DT_INVALID"), info.get("tensor_shape", {})
    if shape.get("unknown_rank", False):
        return TensorInfo(type_name, None)
    sizes = [int(axis.get("size", 0)) for axis in shape.get("dim", [])]
    return TensorInfo(type_name, tuple(None if size < 0 else size for size in sizes))
