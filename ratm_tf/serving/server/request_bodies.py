"""The bodies of HTTP requests, read within bounds."""

import contextlib
import zlib

import anyio
from starlette.exceptions import HTTPException

SECONDS = 60.0
"""How long a body may take to arrive."""

MOST_AT_A_TIME = 4
"""How many bodies of the largest size are in memory together, or more smaller ones."""


class RequestBodies:
    """Reads the bodies of requests, of which only so much is in memory at a time.

    Args:
        max_bytes: of a body, as it arrives and decompressed.
    """

    def __init__(self, max_bytes):
        self._max_bytes = max_bytes
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request):
        """Reads a body, which counts until the context is left.

        Args:
            request: a `starlette.requests.Request`.

        Yields:
            Bytes, as they arrived.

        Raises:
            HTTPException: the body is too large (413) or too slow (408), or there is
                too much in memory (503).
        """
        parts, size = [], 0
        try:
            try:
                with anyio.fail_after(SECONDS):
                    async for part in request.stream():
                        parts.append(part)
                        size += len(part)
                        self._held += len(part)
                        self._check(size)
            except TimeoutError:
                raise HTTPException(
                    408, f"Expected the request to arrive within {SECONDS:g} s."
                ) from None
            yield b"".join(parts)
        finally:
            self._held -= size

    def _check(self, size):
        if size > self._max_bytes:
            raise HTTPException(
                413, f"The request is larger than the limit of {self._max_bytes} bytes."
            )
        if self._held > MOST_AT_A_TIME * self._max_bytes:
            raise HTTPException(503, "The server reads too much at a time. Try again.")

    def decompressed(self, body, encoding):
        """Undoes `Content-Encoding: gzip`; other encodings are not looked at.

        Args:
            body: bytes.
            encoding: the header's value, or None.

        Returns:
            Bytes.

        Raises:
            HTTPException: the body is no gzip (400), or too large (413).
        """
        if encoding != "gzip":
            return body
        stream = zlib.decompressobj(wbits=31)
        try:
            body = stream.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise HTTPException(400, f"Expected a gzip file: {error}") from None
        self._check(len(body))
        if not stream.eof:
            raise HTTPException(400, "Expected a whole gzip file.")
        return body
