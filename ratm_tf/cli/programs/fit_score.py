r"""Teaches a trained tracker to say how sure it is, and saves it with that.

ratm-tf fit_score --model=runs/mnist/model.keras --dataset=moving_mnist \
  --output=scored.keras
"""

import dataclasses
import os
import pathlib

from absl import flags, logging

from ratm_tf.cli import dataset, tracker

flags.adopt_module_key_flags(dataset)
flags.adopt_module_key_flags(tracker)
_OUTPUT = flags.DEFINE_string("output", None, "The .keras file to write.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the sequences.", lower_bound=0)
_SEQUENCES = flags.DEFINE_integer(
    "sequences", 640, "Training sequences to learn from.", lower_bound=1
)
flags.mark_flags_as_required(["model", "output"])


def main(_):
    """Fits on training sequences that come after those that recipes train on."""
    from ratm_tf.pretrained.compact import save_compact
    from ratm_tf.training import fit_score

    check_output()
    loaded = tracker.load_tracker()
    recipe = dataset.recipe(loaded.starts_on_target)
    recipe = dataclasses.replace(
        recipe, train_frames=dataset.FRAMES.value or recipe.train_frames
    )
    experiment = recipe.build(seed=_SEED.value)
    batches = experiment.sequences(recipe.steps * recipe.batch_size)
    data = batches.take(max(5, _SEQUENCES.value // recipe.batch_size))
    save_compact(fit_score(loaded, data, seed=_SEED.value, verbose=2), _OUTPUT.value)
    logging.info("Wrote %s", _OUTPUT.value)


def check_output():
    """Checks, before anything is learnt, that the file can be written."""
    path = pathlib.Path(_OUTPUT.value)
    there = path if path.exists() else path.parent
    writable = os.access(there, os.W_OK) and path.parent.is_dir()
    if path.suffix != ".keras" or path.is_dir() or not writable:
        raise ValueError(
            "Expected --output to be a .keras file in a folder that can be written. "
            f"Received: {path}"
        )
