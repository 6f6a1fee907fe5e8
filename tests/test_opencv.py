import sys

import cv2
import pytest


def test_is_opencv():
    from ratm_tf import opencv

    assert opencv.cv2 is cv2


def test_without_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "ratm_tf.opencv", raising=False)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        import ratm_tf.opencv  # noqa: F401
