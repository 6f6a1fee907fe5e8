"""Exports of each kind and flavour."""

import os

import pytest

import ratm_tf
from ratm_tf.attention import library
from tests.export.trackers import KINDS, tracker_of_kind


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=["tf", "fused"])
def ops(request):
    if request.param == "fused" and library.unavailable_reason() is not None:
        assert os.environ.get("RATM_TF_REQUIRE_FUSED") != "1"
        pytest.skip(library.unavailable_reason())
    return request.param


@pytest.fixture(scope="module")
def folder(kind, ops, tmp_path_factory):
    directory = tmp_path_factory.mktemp(f"{kind}_{ops}")
    return ratm_tf.export_saved_model(tracker_of_kind(kind), directory, ops=ops)


@pytest.fixture(scope="module")
def signatures(folder):
    return ratm_tf.load_saved_model(folder).signatures
