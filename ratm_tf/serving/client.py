"""What a client of a model server does, whatever the protocol."""

import abc

from .serving_error import ServingError


class Client(abc.ABC):
    """Calls a model of a TensorFlow Serving, or of `Server`.

    Attributes:
        model: the model's name.
    """

    def __init__(self, address, model, timeout):
        self._address = address
        self.model = model
        self._timeout = timeout
        self._signatures = None

    def signatures(self):
        """Asks once what the model can do.

        Returns:
            Dict of `SignatureDef` messages by name.

        Raises:
            ServingError: nobody answers, or there is no such model.
        """
        if self._signatures is None:
            self._signatures = dict(self._ask_signatures())
        return self._signatures

    def predict(self, signature, inputs):
        """Runs a signature on the server.

        Args:
            signature: its name.
            inputs: dict of arrays by name, of bytes objects for strings.

        Returns:
            Dict of arrays by name.

        Raises:
            ServingError: nobody answers in time, there is no such model or signature,
                or the server refuses the inputs; the message says which.
        """
        if signature not in self.signatures():
            raise ServingError.no_signature(self.model, signature, self.signatures())
        return self._run(signature, inputs)

    @abc.abstractmethod
    def _ask_signatures(self):
        """A mapping of `SignatureDef` messages by name, from the server."""

    @abc.abstractmethod
    def _run(self, signature, inputs):
        """As `predict`, of a signature that exists."""
