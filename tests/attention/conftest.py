import os

import pytest

from ratm_tf.attention import library


@pytest.fixture(params=["fused", "tf"])
def implementation(request):
    """Both forms; the fused one only where it is built, or has to be."""
    if request.param == "fused":
        require_fused()
    return request.param


@pytest.fixture
def fused():
    """The module of the fused ops."""
    require_fused()
    return library.load()


def require_fused():
    reason = library.unavailable_reason()
    if reason is None:
        return
    if os.environ.get("RATM_TF_REQUIRE_FUSED") == "1":
        pytest.fail(f"the fused op is required: {reason}")
    pytest.skip(f"the fused op is unavailable: {reason}")
