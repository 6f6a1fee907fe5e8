"""What a recipe makes: everything that a training needs."""

import collections.abc
import dataclasses

import tensorflow as tf

from ratm_tf.recipes.recipe import Recipe
from ratm_tf.tracker import Tracker


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A recipe with its tracker and its data, for `ratm_tf.training.run_recipe`.

    Attributes:
        recipe: the recipe.
        seed: of the sequences.
        tracker: built and compiled, with fresh weights.
        sequences: function of a sequence's index that returns an endless, batched
            `tf.data.Dataset` of what `Tracker.fit` takes, from that sequence on; with
            `step` and `batch_size`, of each `step`-th of them, in such batches.
        test: finite, batched `tf.data.Dataset` of examples as in `ratm_tf.datasets`.
        data: where the data come from, JSON values by name.
        validation: finite, batched `tf.data.Dataset` of what `Tracker.fit` takes, or
            None.
    """

    recipe: Recipe
    seed: int
    tracker: Tracker
    sequences: collections.abc.Callable[..., tf.data.Dataset]
    test: tf.data.Dataset
    data: dict
    validation: tf.data.Dataset | None = None
