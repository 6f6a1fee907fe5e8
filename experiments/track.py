r"""Tracks a video or a camera, frame by frame.

python experiments/track.py --model=pretrained:moving_mnist --video=docs/digits.avi \
  --output=tracked.mp4
python experiments/track.py --model=pretrained:people --video=street.mp4 \
  --initial_box=120,80,40,100 --show

Prints a line of JSON for each frame, with the box (x1, y1, x2, y2) in pixels.
"""

import sys

from absl import flags

from ratm_tf.cli import program, tracker, video

flags.adopt_module_key_flags(tracker)
flags.adopt_module_key_flags(video)
flags.mark_flag_as_required("model")


def main(_):
    """Prints the boxes, and draws them where the flags say."""
    import ratm_tf

    online = ratm_tf.OnlineTracker(tracker.load_tracker())
    try:
        video.report(track(online))
    except ValueError as error:
        sys.exit(f"Error: {error}")


def track(online):
    """Yields frames and boxes."""
    for index, frame in enumerate(video.frames()):
        if index == 0:
            online.init(frame, video.initial_box())
        else:
            online.update(frame)
        yield frame, online.box


if __name__ == "__main__":
    program.run(main)
