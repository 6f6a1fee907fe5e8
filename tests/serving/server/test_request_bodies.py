"""Bodies of requests that are too large, too slow or not packed well."""

import asyncio
import gzip

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ratm_tf.serving.server import request_bodies
from ratm_tf.serving.server.request_bodies import decompressed, read_body


def read(*parts, then=None, taken=None):
    """Reads a body that comes in parts; `then` is awaited before its end."""

    async def receive():
        if remaining:
            body = remaining.pop(0)
            if body is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": body, "more_body": True}
        if then is not None:
            await then()
        return {"type": "http.request", "body": b"", "more_body": False}

    remaining = list(parts)
    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    taken = [] if taken is None else taken
    return asyncio.run(read_body(request, taken.append, max_bytes=10))


def test_reads():
    taken = []
    assert read(b"abc", b"", b"defghij", taken=taken) == b"abcdefghij"
    assert sum(taken) == 10
    with pytest.raises(HTTPException, match="at most 10 bytes") as error:
        read(b"abc", b"defghijk", b"not read", taken=taken)
    assert error.value.status_code == 413 and sum(taken) == 21
    with pytest.raises(ClientDisconnect):
        read(b"abc", None)


def test_slow_ones(monkeypatch):
    monkeypatch.setattr(request_bodies, "SECONDS", 0.05)
    with pytest.raises(HTTPException, match="within 0.05 s") as error:
        read(b"x", then=asyncio.Event().wait)
    assert error.value.status_code == 408


def test_gzip():
    assert decompressed(b"as it is", None, 1000) == b"as it is"
    assert decompressed(b"as it is", "br", 1000) == b"as it is"
    for length in (0, 999, 1000):
        packed = gzip.compress(b"x" * length)
        assert decompressed(packed, "gzip", 1000) == b"x" * length
    for packed, code in (
        (gzip.compress(b"x" * 1001), 413),
        (gzip.compress(bytes(10**8)), 413),
        (gzip.compress(b"x" * 1000)[:-1], 400),
        (gzip.compress(b"x")[:-4] + bytes(4), 400),
        (b"", 400),
        (b"no gzip", 400),
    ):
        with pytest.raises(HTTPException) as error:
            decompressed(packed, "gzip", 1000)
        assert error.value.status_code == code
