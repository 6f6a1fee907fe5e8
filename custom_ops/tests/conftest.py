"""The ops, where they are built."""

from tests.attention.conftest import fused  # noqa: F401
