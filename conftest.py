"""Names that the examples in docstrings use without importing them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf

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
