"""The order of the tests, and names that the examples in docstrings do not import."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf


def pytest_configure(config):
    """Has xdist keep the order of files: those of a single, long test are not last."""
    config.option.loadscopereorder = False


# Each is a program of its own, with flags of its own.
collect_ignore = ["ratm_tf/cli/programs"]


@pytest.fixture(autouse=True)
def names(doctest_namespace):
    """Imports what a user of the package has imported."""
    doctest_namespace |= {
        "keras": keras,
        "np": np,
        "ratm_tf": ratm_tf,
        "tf": tf,
    }
