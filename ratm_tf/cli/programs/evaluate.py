r"""Measures a tracker on test sequences and prints one JSON object.

ratm-tf evaluate --model=pretrained:moving_mnist --dataset=moving_mnist
"""

import contextlib
import json
import sys

from absl import flags

from ratm_tf.cli import dataset, tracker

flags.adopt_module_key_flags(dataset)
flags.adopt_module_key_flags(tracker)
flags.mark_flag_as_required("model")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the sequences.", lower_bound=0)
_SEQUENCES = flags.DEFINE_integer(
    "sequences", None, "Test sequences (default: as the paper).", lower_bound=1
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
_OTB_DIR = flags.DEFINE_string("otb_dir", "data/otb", "Sequences of TB-100.")
_NAMES = flags.DEFINE_list(
    "names", None, "Those to track, such as Couple,Jogging.2 (default: all there are)."
)


def otb_beginnings():
    """The sequences of TB-100 that the flags ask for, whole or their first frames."""
    from ratm_tf.datasets import otb_sequences
    from ratm_tf.datasets.parts import PER_FRAME

    def beginning(example):
        cut = {name: example[name][: dataset.FRAMES.value] for name in PER_FRAME}
        return example | cut

    return otb_sequences(_OTB_DIR.value, _NAMES.value).map(beginning)


def main(_):
    """Evaluates; progress goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        import ratm_tf

        loaded = tracker.load_tracker()
        if dataset.DATASET.value == "otb":  # whole sequences, one at a time
            sequences = otb_beginnings().batch(1)
            length = dataset.FRAMES.value or 100
            spans = [(1, last) for last in (10, 50, 100) if last <= length]
            spans, average, known = [*spans, None], "sequences", {}
        else:
            tested = dataset.recipe(
                loaded.starts_on_target, test_sequences=_SEQUENCES.value
            )
            sequences = tested.test_data(seed=_SEED.value)
            spans, average = tested.spans, "frames"
            known = tested.oracle_iou(seed=_SEED.value)
        metrics = ratm_tf.evaluate(loaded, sequences, spans, average=average)
        if loaded.score is not None:
            metrics |= measured_scores(loaded, sequences)
        if _FILM_STRIP.value:
            first = next(iter(sequences))
            first = {name: values[:4] for name, values in first.items()}
            ratm_tf.visualize.save_image(
                _FILM_STRIP.value,
                ratm_tf.visualize.tracked_film_strip(
                    loaded, first, _FILM_STRIP_EVERY.value
                ),
            )
    report = {
        "model": tracker.MODEL.value,
        "dataset": dataset.DATASET.value,
        "seed": _SEED.value,
        "average": average,
    }
    print(json.dumps(report | metrics | known))


def measured_scores(loaded, sequences):
    """How well scores tell boxes with an IoU of one half from others."""
    import keras

    import ratm_tf
    from ratm_tf.training.score import scored_hits

    hits, scores = scored_hits(loaded, sequences.map(ratm_tf.labelled))
    auc = keras.metrics.AUC(num_thresholds=2000)
    auc.update_state(hits, scores)
    if _RELIABILITY.value:
        ratm_tf.visualize.save_image(
            _RELIABILITY.value, ratm_tf.visualize.reliability_plot(hits, scores)
        )
    return {
        "score_auroc": float(auc.result()),
        "score_mean": float(scores.mean()),
        "hits": float(hits.mean()),
    }
