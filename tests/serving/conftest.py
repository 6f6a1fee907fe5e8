"""Small trackers, exported once, and a server for each test module."""

import keras
import pytest

import ratm_tf
from ratm_tf import serving


def export(folder, **options):
    keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(units=8, glimpse_size=(6, 6), **options)
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": (None, None, None, None, 1)})
    # Untrained windows rest; these move with what is seen.
    cell.window.kernel.assign(keras.random.normal(cell.window.kernel.shape, seed=1))
    ratm_tf.export_saved_model(tracker, folder)
    return tracker


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with the models `free` and `given`."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tracker(models):
    """Finds its target itself; exported as `free`."""
    return export(models / "free")


@pytest.fixture(scope="session")
def given_tracker(models):
    """Starts on a given target; exported as `given`."""
    return export(models / "given", initial_window="given")


@pytest.fixture(scope="module")
def server(models, tracker):
    """Serves `free` on free ports."""
    model = serving.ServedModel(models / "free")
    options = {"grpc_port": 0, "rest_port": 0, "max_bytes": 2**20}
    with serving.Server(model, poll_seconds=0.1, **options) as running:
        yield running


@pytest.fixture(scope="module")
def given_server(models, given_tracker):
    """Serves `given` on free ports."""
    model = serving.ServedModel(models / "given")
    with serving.Server(model, grpc_port=0, rest_port=0) as running:
        yield running
