import pytest

from tests.datasets.annotated.clips import write_video


@pytest.fixture
def clip(tmp_path):
    """Six frames of 40x60, and a box in the frames 1, 2 and 4."""
    (tmp_path / "clip.csv").write_text(
        "frame,x,y,w,h\n4,10,20,6,4\n1,4,8,6,4\n2,6,8,6,4\n"
    )
    return write_video(tmp_path / "clip.avi")
