"""Both forms of the ops."""

from tests.attention.conftest import implementation  # noqa: F401
