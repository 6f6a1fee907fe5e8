"""Bodies of requests that are too large, too many, too slow or not packed well."""

import asyncio
import contextlib
import gzip

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ratm_tf.serving.server import request_bodies
from ratm_tf.serving.server.request_bodies import RequestBodies


def request_of(*parts, then=None):
    """A request whose body comes in parts; `then` is awaited before its end."""

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
    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def read(bodies, *parts, **options):
    async with bodies.read(request_of(*parts, **options)) as body:
        return body


def test_reads():
    assert asyncio.run(read(RequestBodies(10), b"abc", b"", b"defghij")) == (
        b"abcdefghij"
    )
    with pytest.raises(HTTPException, match="limit of 10 bytes") as error:
        asyncio.run(read(RequestBodies(10), b"abc", b"defghijk"))
    assert error.value.status_code == 413


def test_a_few_in_memory_at_a_time():
    async def run():
        bodies = RequestBodies(10)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(request_bodies.MOST_AT_A_TIME):
                await stack.enter_async_context(bodies.read(request_of(b"x" * 10)))
            assert await read(bodies) == b""
            with pytest.raises(HTTPException, match="Try again") as error:
                await read(bodies, b"x")
            assert error.value.status_code == 503
        assert await read(bodies, b"x" * 10) == b"x" * 10

    asyncio.run(run())


def test_what_was_read_is_forgotten():
    """However a request ends, its bytes do not count any more."""

    async def run():
        bodies = RequestBodies(10)
        for _ in range(2 * request_bodies.MOST_AT_A_TIME):
            with pytest.raises(ClientDisconnect):
                await read(bodies, b"x" * 9, None)
            with pytest.raises(HTTPException):
                await read(bodies, b"x" * 11)
            with pytest.raises(KeyError):
                async with bodies.read(request_of(b"x" * 10)):
                    raise KeyError
        assert await read(bodies, b"x" * 10) == b"x" * 10

    asyncio.run(run())


def test_slow_ones(monkeypatch):
    monkeypatch.setattr(request_bodies, "SECONDS", 0.05)
    with pytest.raises(HTTPException, match="within 0.05 s") as error:
        asyncio.run(read(RequestBodies(10), b"x", then=asyncio.Event().wait))
    assert error.value.status_code == 408


def test_gzip():
    bodies = RequestBodies(1000)
    assert bodies.decompressed(b"as it is", None) == b"as it is"
    assert bodies.decompressed(b"as it is", "br") == b"as it is"
    for length in (0, 999, 1000):
        packed = gzip.compress(b"x" * length)
        assert bodies.decompressed(packed, "gzip") == b"x" * length
    for packed, code in (
        (gzip.compress(b"x" * 1001), 413),
        (gzip.compress(bytes(10**8)), 413),
        (gzip.compress(b"x" * 1000)[:-1], 400),
        (gzip.compress(b"x")[:-4] + bytes(4), 400),
        (b"", 400),
        (b"no gzip", 400),
    ):
        with pytest.raises(HTTPException) as error:
            bodies.decompressed(packed, "gzip")
        assert error.value.status_code == code
