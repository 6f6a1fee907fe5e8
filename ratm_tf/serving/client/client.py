"""What a client of a model server does, whatever the protocol."""

import abc
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..protocol.arrays import array_of_type
from ..protocol.signature import Signature
from .serving_error import ServingError


class Client(abc.ABC):
    """Calls a model of a TensorFlow Serving, or of `Server`.

    A context manager: it closes its connections on leaving.

    Attributes:
        model: the model's name.
    """

    def __init__(self, address: str, model: str, timeout: float, attempts: int) -> None:
        if attempts < 1:
            raise ValueError(
                f"Expected `attempts` to be 1 or more. Received: {attempts}"
            )
        if not timeout > 0:
            raise ValueError(
                f"Expected `timeout` to be more than 0 seconds. Received: {timeout}"
            )
        self._address = address
        self.model = model
        self._timeout = timeout
        self._signatures: dict[str, Signature] | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def signatures(self) -> dict[str, Signature]:
        """Asks what the model can do: once, and again when it has changed.

        Returns:
            Dict by name of `Signature`s, of `inputs` and `outputs`, both dicts by name
            of `TensorInfo`s, of a `dtype` and a `shape`.

        Raises:
            ServingError: nobody answers, or there is no such model.
        """
        if self._signatures is None:
            self._signatures = self._ask_signatures()
        return self._signatures

    def predict(
        self, signature: str, inputs: Mapping[str, npt.ArrayLike]
    ) -> dict[str, np.ndarray]:
        """Runs a signature on the server.

        Args:
            signature: its name.
            inputs: dict of arrays or nested lists by name, of bytes objects or text for
                strings. They become arrays of the types that the signature asks for;
                see `array_of_type` for what fits which.

        Returns:
            Dict of arrays by name.

        Raises:
            ValueError: values do not fit the type of their input, or the signature has
                no such input.
            ServingError: nobody answers in time, there is no such model or signature,
                or the server refuses the inputs; the message says which.
        """
        known = self._signatures
        try:
            return self._predict(signature, inputs)
        except (ServingError, ValueError) as error:
            # A new version of the model may have other signatures.
            if known is None or not getattr(error, "answered", True):
                raise
            self._signatures = None
            if self.signatures() == known:
                raise
            return self._predict(signature, inputs)

    def _predict(self, signature, inputs):
        definitions = self.signatures()
        if signature not in definitions:
            raise ServingError.no_signature(self.model, signature, definitions)
        definition = definitions[signature]
        unknown = inputs.keys() - definition.inputs.keys()
        if unknown:
            raise ValueError(
                f"Expected `inputs` to be {', '.join(sorted(definition.inputs))}. "
                f"Received: {', '.join(sorted(unknown))}"
            )
        arrays = {
            name: array_of_type(name, value, definition.inputs[name].dtype)
            for name, value in inputs.items()
        }
        dtypes = {name: info.dtype for name, info in definition.outputs.items()}
        return self._run(signature, arrays, dtypes)

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connections to the server."""

    @abc.abstractmethod
    def _ask_signatures(self):
        """A dict of `Signature`s by name, from the server."""

    @abc.abstractmethod
    def _run(self, signature, inputs, dtypes):
        """Runs a signature that exists.

        Args:
            signature: its name.
            inputs: dict of arrays by name.
            dtypes: dict of NumPy dtypes of the outputs.
        """
