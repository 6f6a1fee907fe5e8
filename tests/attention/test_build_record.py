import doctest

import pytest

from ratm_tf.attention import build_record


@pytest.fixture
def checkout(tmp_path):
    for name in ("ops.cc", "cpu/simd.cc", "tests/host_test.cc", "notes.txt"):
        path = tmp_path / "custom_ops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_facts_come_back(checkout):
    library = checkout / "ops.so"
    build_record.write(library, checkout, tensorflow="2.21.0", flags=["-O3"], nvcc=None)
    record = build_record.read(library)
    assert record.pop("sources") == build_record.hash_of_sources(checkout)
    assert record == {"tensorflow": "2.21.0", "flags": ["-O3"], "nvcc": None}


@pytest.mark.parametrize(
    "name,stale",
    [
        ("ops.cc", True),
        ("cpu/simd.cc", True),
        ("cuda/new.cu", True),
        ("tests/host_test.cc", False),
        ("notes.txt", False),
    ],
)
def test_a_change_of_what_is_built_makes_it_stale(checkout, name, stale):
    library = checkout / "ops.so"
    build_record.write(library, checkout)
    assert build_record.staleness(library, checkout) is None
    path = checkout / "custom_ops" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")
    assert (build_record.staleness(library, checkout) is not None) == stale


def test_a_name_counts_too(checkout):
    before = build_record.hash_of_sources(checkout)
    (checkout / "custom_ops" / "ops.cc").rename(checkout / "custom_ops" / "kernels.cc")
    assert build_record.hash_of_sources(checkout) != before


def test_an_installed_package_is_never_stale(checkout, tmp_path_factory):
    library = checkout / "ops.so"
    build_record.write(library, checkout)
    assert build_record.staleness(library, tmp_path_factory.mktemp("site")) is None


def test_without_a_record_nothing_is_said(checkout):
    assert build_record.staleness(checkout / "ops.so", checkout) is None


def test_examples():
    results = doctest.testmod(build_record)
    assert results.attempted and not results.failed
