r"""Measures a tracker on test sequences and prints one JSON object.

ratm-tf evaluate --model=pretrained:moving_mnist --dataset=moving_mnist
ratm-tf evaluate --model=pretrained:people --dataset=otb --otb_dir=otb \
  --results=results/people
ratm-tf evaluate --model=runs/mine/model.keras --dataset=videos --data=my_videos

Of recorded sequences, which are those of TB-100 and one's own, it also prints the
success (AUC) and the precision (at 20 pixels) of each, and writes the boxes for
`ratm-tf plot` and the toolkits of the field.
"""

import contextlib
import functools
import itertools
import json
import pathlib
import sys

import numpy as np
from absl import flags

from ratm_tf.cli import dataset, recorded, tracker

flags.adopt_module_key_flags(dataset)
flags.adopt_module_key_flags(recorded)
flags.adopt_module_key_flags(tracker)
flags.mark_flag_as_required("model")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the sequences.", lower_bound=0)
_SEQUENCES = flags.DEFINE_integer(
    "sequences",
    None,
    "Test sequences that are made (default: as the paper).",
    lower_bound=1,
)
_FROM_FRAME = flags.DEFINE_integer(
    "from_frame", 1, "Frame to start in, of sequences that are made or KTH's.", 1
)
_RESULTS = flags.DEFINE_string(
    "results",
    None,
    "Folder for the boxes in recorded sequences, a text file each: x,y,w,h a frame, "
    "where the first pixel is 1,1.",
)
_FILM_STRIP_EVERY = flags.DEFINE_integer(
    "film_strip_every", 3, "Draw every so many frames.", lower_bound=1
)
_FILM_STRIP = flags.DEFINE_string(
    "film_strip",
    None,
    "Where to draw the first sequences tracked, a .png or .jpg file.",
)
_RELIABILITY = flags.DEFINE_string(
    "reliability",
    None,
    "Where to draw how often the tracker is right by its score, a .png file.",
)


def main(_):
    """Evaluates; progress goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        import ratm_tf

        if _RESULTS.value:
            if not recorded.chosen():
                raise ValueError(
                    "Expected --results with --dataset=otb or videos. Received: "
                    f"{dataset.DATASET.value}"
                )
            if recorded.STARTS.value != "first":
                raise ValueError(
                    "Expected --results with --starts=first. Received: "
                    f"{recorded.STARTS.value}"
                )
            pathlib.Path(_RESULTS.value).mkdir(parents=True, exist_ok=True)
        later = _FROM_FRAME.value > 1
        if later and recorded.chosen():
            raise ValueError(
                "Expected --from_frame of sequences that are made or KTH's. Received: "
                f"--dataset={dataset.DATASET.value}"
            )
        loaded = tracker.load_tracker()
        if recorded.chosen():
            sequences = recorded.sequences(loaded.channels, _SEED.value)
            length = dataset.FRAMES.value or 100
            spans = [(1, last) for last in (10, 50, 100) if last <= length]
            spans, average, known = [*spans, None], "sequences", {}
        else:
            tested = dataset.recipe(
                loaded.starts_on_target, test_sequences=_SEQUENCES.value
            )
            sequences = tested.test_data(seed=_SEED.value).map(_from_frame)
            sequences = sequences.map(
                functools.partial(_in_channels, channels=loaded.channels)
            )
            spans, average = [None] if later else tested.spans, "frames"
            known = {} if later else tested.oracle_iou(seed=_SEED.value)
        seen = Seen()
        metrics = ratm_tf.evaluate(
            loaded, sequences, spans, average=average, on_batch=seen
        )
    report = {
        "model": tracker.MODEL.value,
        "dataset": dataset.DATASET.value,
        "seed": _SEED.value,
        "average": average,
        "box": loaded.box,
    }
    print(json.dumps(report | metrics | seen.metrics() | known))


def _from_frame(example):
    """A batch of sequences from the frame on that the flag names."""
    start = _FROM_FRAME.value - 1
    of_frames = [name for name in ("frames", "boxes", "mask") if name in example]
    later = {name: example[name][:, start:] for name in of_frames}
    if "initial_box" in example and start > 0:
        later["initial_box"] = example["boxes"][:, start]
    return example | later


def _in_channels(example, channels):
    """With grey frames in three channels or coloured ones in one, where need be."""
    import tensorflow as tf

    frames = example["frames"]
    if channels == 3 and frames.shape[-1] == 1:
        frames = tf.image.grayscale_to_rgb(frames)
    elif channels == 1 and frames.shape[-1] == 3:
        frames = tf.image.rgb_to_grayscale(frames)
    return example | {"frames": frames}


class Seen:
    """What is measured, written and drawn of batches as they are tracked."""

    def __init__(self):
        self._judged, self._measured, self._drawn = [], {}, False

    def __call__(self, example, outputs):
        """Takes a batch and the tracker's outputs on it."""
        from ratm_tf.training.score import scored_hits

        boxes = example["boxes"].numpy()
        counts = np.ones(boxes.shape[:2], bool)
        if "mask" in example:
            counts = example["mask"].numpy()
        if "scores" in outputs:
            self._judged.append(scored_hits(outputs, boxes, counts))
        if recorded.chosen():
            true = np.where(counts[0, :, np.newaxis], boxes[0], np.nan)
            self._record(recorded.name_of(example), true, outputs["boxes"][0])
        if _FILM_STRIP.value and not self._drawn:
            self._draw(example, outputs)

    def _record(self, name, true, boxes):
        from ratm_tf import one_pass

        self._measured.setdefault(name, []).append(one_pass.measure(true, boxes))
        if _RESULTS.value:
            path = pathlib.Path(_RESULTS.value) / f"{name}.txt"
            one_pass.write_results(path, boxes)

    def _draw(self, example, outputs):
        from ratm_tf import visualize

        shown = (example["frames"], outputs["glimpses"], outputs["boxes"])
        shown = (*shown, example["boxes"])
        every = _FILM_STRIP_EVERY.value
        strip = visualize.film_strip(*(values[:4, ::every] for values in shown))
        visualize.save_image(_FILM_STRIP.value, strip)
        self._drawn = True

    def metrics(self):
        """JSON values of what was measured, by name."""
        from ratm_tf.one_pass import summary

        metrics = self._scores() if self._judged else {}
        if self._measured:
            overall = summary(itertools.chain(*self._measured.values()))
            each = {name: summary(some) for name, some in self._measured.items()}
            metrics |= {"one_pass": overall, "sequences": each}
        return metrics

    def _scores(self):
        """How well scores tell boxes with an IoU of one half from others."""
        import keras

        from ratm_tf import visualize

        hits, scores = map(np.concatenate, zip(*self._judged, strict=True))
        auc = keras.metrics.AUC(num_thresholds=2000)
        auc.update_state(hits, scores)
        if _RELIABILITY.value:
            plot = visualize.reliability_plot(hits, scores)
            visualize.save_image(_RELIABILITY.value, plot)
        return {
            "score_auroc": float(auc.result()),
            "score_mean": float(scores.mean()),
            "hits": float(hits.mean()),
        }
