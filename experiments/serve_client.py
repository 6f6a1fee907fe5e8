r"""Tracks a video or a camera on a model server: TensorFlow Serving, or serve.py.

python experiments/serve_client.py --grpc=127.0.0.1:8500 --model=digits \
  --video=digits.avi --output=tracked.mp4
python experiments/serve_client.py --rest=127.0.0.1:8501 --model=digits --video=0 --show

A file goes to the server in one request, a camera (its number) frame by frame. Prints a
line of JSON for each frame, with the box (x1, y1, x2, y2) in pixels.
"""

import json
import sys

import cv2
from absl import app, flags

from ratm_tf import serving
from ratm_tf.visualize import RED, draw_boxes

_GRPC = flags.DEFINE_string("grpc", None, "host:port of the server's gRPC port.")
_REST = flags.DEFINE_string("rest", None, "host:port of the server's REST port.")
flags.mark_flags_as_mutual_exclusive(["grpc", "rest"], required=True)
_MODEL = flags.DEFINE_string("model", None, "The model's name.", required=True)
_VIDEO = flags.DEFINE_string(
    "video", None, "A video file, or the number of a camera.", required=True
)
_STREAM = flags.DEFINE_boolean("stream", False, "Send files frame by frame, too.")
_INITIAL_BOX = flags.DEFINE_list(
    "initial_box",
    None,
    "x,y,w,h of the target in the first frame, in pixels as OpenCV counts them, for "
    "trackers that start on a given target.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Video to write, .mp4 or .avi.")
_SHOW = flags.DEFINE_boolean("show", False, "Show the video; the key q ends it.")
_IMAGE_FORMAT = flags.DEFINE_enum(
    "image_format", "jpg", ["jpg", "png"], "How frames travel; PNG loses nothing."
)
_TIMEOUT = flags.DEFINE_float("timeout", 30.0, "Seconds to wait for an answer.")
_ATTEMPTS = flags.DEFINE_integer(
    "attempts", 5, "How often to try.", lower_bound=1, upper_bound=5
)


def main(_):
    """Prints the boxes, and draws them where the flags say."""
    address = _GRPC.value or _REST.value
    make_client = serving.GrpcClient if _GRPC.value else serving.RestClient
    client = make_client(address, _MODEL.value, _TIMEOUT.value, _ATTEMPTS.value)
    tracker = serving.RemoteTracker(client)
    box = initial_box()
    camera = _VIDEO.value.isdecimal()
    track = stream if camera or _STREAM.value else at_once
    writer = None
    try:
        for index, (frame, tracked) in enumerate(track(tracker, box)):
            print(json.dumps({"frame": index, "box": tracked.tolist()}), flush=True)
            drawn = draw_boxes(frame[None], tracked[None], RED[::-1], scale=1)[0]
            if _OUTPUT.value:
                writer = writer or open_writer(drawn)
                writer.write(drawn)
            if _SHOW.value:
                cv2.imshow(_MODEL.value, drawn)
                if cv2.waitKey(1) == ord("q"):
                    break
    except (serving.ServingError, ValueError) as error:
        sys.exit(f"Error: {error}")
    finally:
        if writer is not None:
            writer.release()


def at_once(tracker, box):
    """Yields frames and boxes, tracked in one request."""
    images = [encoded(frame) for frame in frames()]
    yield from zip(frames(), tracker.track(images, box), strict=True)


def stream(tracker, box):
    """Yields frames and boxes as frames come."""
    for index, frame in enumerate(frames()):
        if index == 0:
            tracker.start(frame.shape[:2], box)
        yield frame, tracker.step(encoded(frame))


def frames():
    """Yields the video's frames, BGR."""
    video = _VIDEO.value
    capture = cv2.VideoCapture(int(video) if video.isdecimal() else video)
    if not capture.isOpened():
        raise ValueError(f"--video={video}: OpenCV cannot open it.")
    try:
        while (read := capture.read())[0]:
            yield read[1]
    finally:
        capture.release()


def encoded(frame):
    """The frame as an image file."""
    return cv2.imencode(f".{_IMAGE_FORMAT.value}", frame)[1].tobytes()


def initial_box():
    """The flag's box with its corners in the tracker's coordinates."""
    if _INITIAL_BOX.value is None:
        return None
    try:
        x, y, w, h = map(float, _INITIAL_BOX.value)
    except ValueError:
        raise app.UsageError(
            "Expected --initial_box=x,y,w,h, four numbers. Received: "
            f"{','.join(_INITIAL_BOX.value)}"
        ) from None
    return x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5


def rate():
    """The video's frames per second; 25 for cameras, which do not say."""
    if _VIDEO.value.isdecimal():
        return 25.0
    return cv2.VideoCapture(_VIDEO.value).get(cv2.CAP_PROP_FPS) or 25.0


def open_writer(frame):
    """A video file for frames of this size."""
    path = _OUTPUT.value
    code = "MJPG" if path.endswith(".avi") else "mp4v"
    size = frame.shape[1::-1]
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*code), rate(), size)
    if not writer.isOpened():
        raise ValueError(f"--output={path}: OpenCV cannot write it.")
    return writer


if __name__ == "__main__":
    app.run(main)
