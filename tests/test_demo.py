import cv2

from ratm_tf.boxes import iou
from ratm_tf.datasets import tracker_inputs
from ratm_tf.demo import CLIPS, demo
from ratm_tf.pretrained import load_pretrained


def test_draws_what_the_trackers_see(tmp_path):
    strip, video = demo(tmp_path / "new")
    # Ten frames of 200 pixels of each clip over their glimpses.
    picture = cv2.imread(str(strip))
    assert picture.shape[1] == 10 * 204 - 4 and picture.shape[0] > 6 * 200
    drawn = cv2.VideoCapture(str(video))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 30
    frame = drawn.read()[1].astype(int)
    assert frame.shape[1] > 3 * 200
    green = frame[..., 1] - frame[..., [0, 2]].max(axis=-1)
    third = frame.shape[1] // 3
    assert all((green[:, i * third : (i + 1) * third] > 60).any() for i in range(3))


def test_its_clips_are_followed():
    """A demonstration of a tracker that loses its target would be none."""
    for name, sequences in CLIPS.items():
        example = next(iter(sequences().batch(1)))
        boxes = load_pretrained(name)(tracker_inputs(example))["boxes"]
        assert float(iou(example["boxes"], boxes)[0, 10:].numpy().min()) > 0.4, name
