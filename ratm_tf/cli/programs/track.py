r"""Tracks a video or a camera, frame by frame.

ratm-tf track --model=pretrained:moving_mnist --video=docs/digits.avi \
  --output=tracked.mp4
ratm-tf track --model=pretrained:people --video=street.mp4 \
  --initial_box=120,80,40,100 --show

Prints a line of JSON for each frame, with the box (x1, y1, x2, y2) in pixels and how
sure the tracker is of it, in 0..1.
"""

from absl import flags

from ratm_tf.cli import tracker, video

flags.adopt_module_key_flags(tracker)
flags.adopt_module_key_flags(video)
flags.mark_flag_as_required("model")


def main(_):
    """Prints the boxes, and draws them where the flags say."""
    import ratm_tf

    video.check_output()
    box = video.initial_box()
    online = ratm_tf.OnlineTracker(tracker.load_tracker())
    source = video.Video()
    video.report(track(online, source.frames(), box), source.frames_per_second)


def track(online, frames, box):
    """Yields frames, boxes and scores."""
    for index, frame in enumerate(frames):
        if index == 0:
            online.init(frame, box)
        else:
            online.update(frame)
        yield frame, online.box, online.score
