import shutil

import pytest

from tests.datasets.kth.clips import DUMMY


@pytest.fixture
def data(tmp_path):
    return shutil.copytree(DUMMY, tmp_path / "kth")
