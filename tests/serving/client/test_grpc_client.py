"""What is gRPC's own."""

import pytest

from ratm_tf import serving


def test_grpc_repeats_at_most_five_times():
    with pytest.raises(ValueError, match="`attempts` to be 5 or less. Received: 6"):
        serving.GrpcClient("127.0.0.1:1", "free", attempts=6)


def test_after_it_is_closed(server):
    client = serving.GrpcClient(server.grpc_address, "free")
    client.close()
    with pytest.raises(ValueError, match="closed"):
        client.signatures()
