r"""Tracks a video or a camera on a model server: TensorFlow Serving or `serve`.

ratm-tf client --grpc=127.0.0.1:8500 --model=digits \
  --video=digits.avi --output=tracked.mp4
ratm-tf client --rest=127.0.0.1:8501 --model=digits --video=0 --show

A file goes to the server in one request, a camera (its number) frame by frame. Prints a
line of JSON for each frame, with the box (x1, y1, x2, y2) in pixels.
"""

import numpy as np
from absl import flags

from ratm_tf import serving
from ratm_tf.cli import video

flags.adopt_module_key_flags(video)
_GRPC = flags.DEFINE_string("grpc", None, "host:port of the server's gRPC port.")
_REST = flags.DEFINE_string("rest", None, "host:port of the server's REST port.")
flags.mark_flags_as_mutual_exclusive(["grpc", "rest"], required=True)
_MODEL = flags.DEFINE_string("model", None, "The model's name.", required=True)
_STREAM = flags.DEFINE_boolean("stream", False, "Send files frame by frame, too.")
_IMAGE_FORMAT = flags.DEFINE_enum(
    "image_format", "jpg", ["jpg", "png"], "How frames travel; PNG loses nothing."
)
_TIMEOUT = flags.DEFINE_float(
    "timeout", 30.0, "Seconds for each call, repetitions included."
)
_ATTEMPTS = flags.DEFINE_integer(
    "attempts", 5, "How often to try.", lower_bound=1, upper_bound=5
)


def main(_):
    """Prints the boxes, and draws them where the flags say."""
    from ratm_tf.boxes import xyxy_from_xywh

    video.check_output()
    make_client = serving.GrpcClient if _GRPC.value else serving.RestClient
    address = _GRPC.value or _REST.value
    box = video.initial_box()
    if box is not None:
        box = xyxy_from_xywh(box)
    track = stream if video.is_stream() or _STREAM.value else at_once
    with make_client(address, _MODEL.value, _TIMEOUT.value, _ATTEMPTS.value) as client:
        source = video.Video()
        tracked = track(serving.RemoteTracker(client), source.frames(), box)
        video.report(tracked, source.frames_per_second)


def at_once(tracker, frames, box):
    """Yields frames as they were sent and boxes, tracked in one request."""
    from ratm_tf.opencv import cv2

    images = [encoded(frame) for frame in frames]
    for image, tracked in zip(images, tracker.track(images, box), strict=True):
        sent = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        yield sent, tracked, None


def stream(tracker, frames, box):
    """Yields frames and boxes as frames come."""
    for index, frame in enumerate(frames):
        if index == 0:
            tracker.start(frame.shape[:2], box)
        yield frame, tracker.step(encoded(frame)), None


def encoded(frame):
    """The frame as an image file."""
    from ratm_tf.opencv import cv2

    return cv2.imencode(f".{_IMAGE_FORMAT.value}", frame)[1].tobytes()
