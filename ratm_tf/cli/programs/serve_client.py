r"""Tracks a video or a camera on a model server: TensorFlow Serving or `serve`.

ratm-tf client --grpc=127.0.0.1:8500 --model=digits \
  --video=digits.avi --output=tracked.mp4
ratm-tf client --rest=127.0.0.1:8501 --model=digits --video=0 --show

Files go to the server in one request, a camera (its number) frame by frame. Prints a
line of JSON for each frame, with the box x, y, w, h in pixels, as OpenCV has it.
"""

import numpy as np
from absl import flags

from ratm_tf import serving
from ratm_tf.cli import report, video

flags.adopt_module_key_flags(report)
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
    report.check_files()
    video.given_boxes()
    make_client = serving.GrpcClient if _GRPC.value else serving.RestClient
    address = _GRPC.value or _REST.value
    track = stream if video.is_stream() or _STREAM.value else at_once
    with make_client(address, _MODEL.value, _TIMEOUT.value, _ATTEMPTS.value) as client:
        source = video.Video()
        tracked = track(serving.RemoteTracker(client), source.frames())
        report.report(tracked, source)


def initial_box(frame):
    """The target's (x1, y1, x2, y2), or None."""
    from ratm_tf.boxes import xyxy_from_xywh

    boxes = video.initial_boxes(frame)
    if boxes is None:
        return None
    if len(boxes) > 1:
        raise ValueError(f"Expected one target. Received: {len(boxes)} boxes")
    return xyxy_from_xywh(boxes[0])


def at_once(tracker, frames):
    """Yields frames as they were sent and boxes, tracked in one request."""
    from ratm_tf.opencv import cv2

    images, box = [], None
    for frame in frames:
        if not images:
            box = initial_box(frame)
        images.append(encoded(frame))
    for image, tracked in zip(images, tracker.track(images, box), strict=True):
        sent = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        yield report.Step(sent, tracked[np.newaxis], [None])


def stream(tracker, frames):
    """Yields frames and boxes as frames come."""
    for index, frame in enumerate(frames):
        if index == 0:
            tracker.start(frame.shape[:2], initial_box(frame))
        yield report.Step(frame, tracker.step(encoded(frame))[np.newaxis], [None])


def encoded(frame):
    """The frame as an image file."""
    from ratm_tf.opencv import cv2

    return cv2.imencode(f".{_IMAGE_FORMAT.value}", frame)[1].tobytes()
