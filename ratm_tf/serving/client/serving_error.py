"""What clients raise."""

from collections.abc import Iterable


class ServingError(RuntimeError):
    """A call to a server failed; the message says at which end and why.

    Args:
        message: text.
        answered: whether a server answered, and refused.

    Attributes:
        answered: as above.

    Example:
    >>> from ratm_tf import serving
    >>> raise serving.ServingError("No server answers at 127.0.0.1:8500.")
    Traceback (most recent call last):
    ratm_tf.serving.client.serving_error.ServingError: No server answers at 127....
    """

    def __init__(self, message: str, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered

    @classmethod
    def no_answer(cls, address: str, reason: object) -> "ServingError":
        """There is no server, or none that answers."""
        return cls(f"No server answers at {address}: {reason}")

    @classmethod
    def too_late(cls, address: str, timeout: float) -> "ServingError":
        """The server takes too long."""
        return cls(f"The server at {address} did not answer within {timeout:g} s.")

    @classmethod
    def no_model(cls, address: str, model: str, reason: object) -> "ServingError":
        """The server does not have the model."""
        return cls(f"The server at {address} serves no model {model!r}: {reason}", True)

    @classmethod
    def no_signature(
        cls, model: str, signature: str, signatures: Iterable[str]
    ) -> "ServingError":
        """The model does not have the signature."""
        names = ", ".join(sorted(n for n in signatures if not n.startswith("__")))
        return cls(
            f"Model {model!r} has no signature {signature!r}. It has: {names}.", True
        )

    @classmethod
    def refused(cls, address: str, code: object, reason: object) -> "ServingError":
        """The server answers with any other error."""
        return cls(f"The server at {address} answered {code}: {reason}", True)
