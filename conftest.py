"""Names that the examples in docstrings use without importing them."""

import pkgutil
import sys
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf

if sys.version_info < (3, 11):
    # As later Pythons do, mock then finds the modules of `ratm_tf.datasets.kth` for
    # TFDS's tests, though `ratm_tf.datasets` has a function of that name.
    mock._importer = pkgutil.resolve_name


@pytest.fixture(autouse=True)
def names(doctest_namespace):
    """Imports what a user of the package has imported."""
    doctest_namespace |= {
        "keras": keras,
        "np": np,
        "ratm_tf": ratm_tf,
        "tf": tf,
    }
