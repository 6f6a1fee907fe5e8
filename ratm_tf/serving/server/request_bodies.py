"""The bodies of HTTP requests, read within bounds."""

import zlib

import anyio
from starlette.exceptions import HTTPException

SECONDS = 60.0
"""How long a body may take to arrive."""


async def read_body(request, take, max_bytes):
    """Reads a body.

    Args:
        request: a `starlette.requests.Request`.
        take: see `RequestMemory.hold`.
        max_bytes: of the body.

    Returns:
        Bytes, as they arrived.

    Raises:
        HTTPException: the body is too large (413) or too slow (408).
        tf.errors.UnavailableError: there is too much in memory.
    """
    parts, size = [], 0
    try:
        with anyio.fail_after(SECONDS):
            async for part in request.stream():
                take(len(part))
                size += len(part)
                _check(size, max_bytes)
                parts.append(part)
    except TimeoutError:
        raise HTTPException(
            408, f"Expected the request to arrive within {SECONDS:g} s."
        ) from None
    return b"".join(parts)


def decompressed(body, encoding, max_bytes):
    """Undoes `Content-Encoding: gzip`; other encodings are not looked at.

    Args:
        body: bytes.
        encoding: the header's value, or None.
        max_bytes: of the result.

    Returns:
        Bytes.

    Raises:
        HTTPException: the body is no gzip (400), or too large (413).

    Example:
    >>> import gzip
    >>> from ratm_tf.serving.server.request_bodies import decompressed
    >>> decompressed(gzip.compress(b"{}"), "gzip", max_bytes=100)
    b'{}'
    """
    if encoding != "gzip":
        return body
    stream = zlib.decompressobj(wbits=31)
    try:
        body = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise HTTPException(400, f"Expected a gzip file: {error}") from None
    _check(len(body), max_bytes)
    if not stream.eof:
        raise HTTPException(400, "Expected a whole gzip file.")
    return body


def _check(size, max_bytes):
    if size > max_bytes:
        raise HTTPException(
            413, f"Expected the request to have at most {max_bytes} bytes."
        )
