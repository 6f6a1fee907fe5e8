"""Clients of both protocols."""

import socket

import pytest

from ratm_tf import serving

CLIENTS = {"grpc": serving.GrpcClient, "rest": serving.RestClient}


@pytest.fixture(params=list(CLIENTS))
def protocol(request):
    return request.param


@pytest.fixture
def connect(protocol):
    """Makes a client of a server."""
    made = []

    def make(server, model="free", **options):
        address = getattr(server, f"{protocol}_address")
        made.append(CLIENTS[protocol](address, model, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
