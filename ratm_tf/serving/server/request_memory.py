"""How much of all requests is in memory at a time."""

import contextlib

import tensorflow as tf

MOST_AT_A_TIME = 4
"""How many requests of the largest size are in memory together; of small ones, more."""


class RequestMemory:
    """Counts the bytes of the requests that are in memory.

    It is used from one thread, that of the server's event loop.

    Args:
        max_bytes: of a request.

    Attributes:
        max_bytes: as above.

    Example:
    >>> from ratm_tf.serving.server.request_memory import RequestMemory
    >>> memory = RequestMemory(max_bytes=100)
    >>> with memory.hold() as take:
    ...     take(60)
    ...     take(30)
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._held = 0

    @contextlib.contextmanager
    def hold(self):
        """Counts what is taken until the context is left.

        Yields:
            A function that takes a number of bytes more. It raises
            `tf.errors.UnavailableError` if there is too much then.
        """
        taken = 0

        def take(size):
            nonlocal taken
            taken += size
            self._held += size
            if self._held > MOST_AT_A_TIME * self.max_bytes:
                raise tf.errors.UnavailableError(
                    None, None, "The server has too many requests. Try again."
                )

        try:
            yield take
        finally:
            self._held -= taken
