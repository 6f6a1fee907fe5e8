"""Tracking on real servers, over both protocols."""

import cv2
import numpy as np
import pytest

from ratm_tf import serving

VIDEO = np.random.default_rng(0).integers(0, 256, [4, 20, 24, 1], np.uint8)
IMAGES = [cv2.imencode(".png", frame)[1].tobytes() for frame in VIDEO]
BOX = (4.0, 5.0, 14.0, 12.0)


def test_tracks_videos_and_streams(connect, server, tracker):
    expected = tracker.predict({"frames": VIDEO[None]}, verbose=0)["boxes"][0]
    remote = serving.RemoteTracker(connect(server))
    np.testing.assert_allclose(remote.track(IMAGES), expected, atol=1e-3)
    remote.start(VIDEO.shape[1:3])
    boxes = [remote.step(image) for image in IMAGES]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)
    assert np.ptp(expected, axis=0).min() > 0.1  # There was something to follow.


def test_tracks_given_targets(connect, given_server, given_tracker):
    inputs = {"frames": VIDEO[None], "initial_box": np.float32([BOX])}
    expected = given_tracker.predict(inputs, verbose=0)["boxes"][0]
    remote = serving.RemoteTracker(connect(given_server, "given"))
    np.testing.assert_allclose(remote.track(IMAGES, BOX), expected, atol=1e-3)
    remote.start(VIDEO.shape[1:3], BOX)
    boxes = [remote.step(image) for image in IMAGES]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)
    for call in (lambda: remote.track(IMAGES), lambda: remote.start((20, 24))):
        with pytest.raises(ValueError, match="Expected `initial_box`"):
            call()


def test_a_target_that_is_not_expected(connect, server):
    remote = serving.RemoteTracker(connect(server))
    with pytest.raises(ValueError, match="Expected no `initial_box`"):
        remote.track(IMAGES, BOX)
    with pytest.raises(ValueError, match="at least one"):
        remote.track([])
    with pytest.raises(RuntimeError, match="`start` before `step`"):
        remote.step(IMAGES[0])


def test_a_stream_goes_on_after_a_bad_frame(connect, server):
    remote = serving.RemoteTracker(connect(server))
    remote.start((20, 24))
    first = [remote.step(image) for image in IMAGES]
    remote.start((20, 24))
    again = []
    for image in IMAGES:
        with pytest.raises(serving.ServingError, match=r"does not decode|Does not dec"):
            remote.step(b"no image")
        again.append(remote.step(image))
    np.testing.assert_array_equal(again, first)
