"""Moving MNIST: section 6.2 of the paper."""

import dataclasses
import functools
from typing import Literal

import keras
import tensorflow as tf

from ratm_tf.datasets import labelled, load_digits, moving_mnist_sequences
from ratm_tf.datasets.moving_mnist import (
    FRAME_SIZE,
    TEST_FRAMES,
    TEST_SEQUENCES,
    TRAIN_FRAMES,
)
from ratm_tf.datasets.oracle import moving_mnist_oracle, oracle_iou
from ratm_tf.pretrained import load_pretrained
from ratm_tf.recipes.experiment import Experiment
from ratm_tf.recipes.recipe import From, Recipe, from_table, named
from ratm_tf.types import Implementation


@dataclasses.dataclass(frozen=True, kw_only=True)
class MovingMNISTRecipe(Recipe):
    """Follows a digit that wanders over a black canvas, or one of two.

    Attributes:
        digits: 1 or 2.
        mnist_path: MNIST as an `.npz` file; None for Keras's.
        sample: whether the small sample that the package ships will do where there is
            no MNIST.

    Example:
    >>> recipe = ratm_tf.recipes.moving_mnist(digits=1, preset="paper")
    >>> recipe.learning_rate, recipe.sources["learning_rate"]
    (0.001, 'section 6.2')
    >>> shorter = dataclasses.replace(recipe, steps=100)
    """

    digits: int
    mnist_path: str | None = None
    sample: bool = False

    def build(
        self, *, seed: int = 0, implementation: Implementation = "auto"
    ) -> Experiment:
        objectives, metrics = {}, {}
        if "class_probabilities" in self.losses:
            classifier = load_pretrained("mnist_cnn")
            classifier.trainable = False
            objectives["class_probabilities"] = classifier
            accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
            metrics["class_probabilities"] = accuracy
        return Experiment(
            recipe=self,
            seed=seed,
            tracker=self._tracker(
                implementation, objectives=objectives, metrics=metrics
            ),
            sequences=lambda start, step=1, batch_size=None: self._epochs(
                start,
                step,
                batch_size or self.batch_size,
                functools.partial(
                    self._sequences, "train", num_frames=self.train_frames, seed=seed
                ),
            ).map(labelled),
            test=self.test_data(seed=seed),
            data={
                "name": "moving_mnist",
                "digits": load_digits(
                    "train", self.mnist_path, fallback=self.sample
                ).source,
            },
        )

    def test_data(self, *, seed: int = 0) -> tf.data.Dataset:
        return self._sequences(
            "test",
            num_frames=self.test_frames,
            batch_size=100,
            num_sequences=self.test_sequences,
            seed=seed,
        )

    def oracle_iou(self, *, seed: int = 0) -> dict[str, float]:
        boxes = moving_mnist_oracle(
            "test",
            num_frames=self.test_frames,
            num_sequences=self.test_sequences,
            num_digits=self.digits,
            seed=seed,
            frame_size=self.frame_size,
        )
        return oracle_iou(*boxes, self.spans)

    @property
    def spans(self) -> list[tuple[int, int] | None]:
        """The length that the paper trains on, and the whole length."""
        trained = min(TRAIN_FRAMES, self.test_frames)
        return sorted({(1, trained), (1, self.test_frames)})

    @property
    def choices(self) -> dict[str, object]:
        """The preset and the number of digits."""
        return {"preset": self.preset, "digits": self.digits}

    def _sequences(self, split, **options):
        return moving_mnist_sequences(
            split,
            num_digits=self.digits,
            frame_size=self.frame_size,
            mnist_path=self.mnist_path,
            fallback=self.sample,
            **options,
        )


# What one digit and two have in common.
_PAPER = {
    "recurrent_cell": From("irnn", "section 6.2; Eq. 1-3"),
    "units": From(100, "section 6.2"),
    "recurrent_scale": From(
        0.9,
        "ours: the paper has a scaled identity; from 1 the weights learn to drift, and "
        "windows fly off beyond the ten frames of training",
    ),
    "use_bias": From(False, "Eq. 1"),
    "glimpse_size": From((28, 28), "section 6.2"),
    "window_update": From("absolute", "Eq. 5"),
    "sees_window": From(False, "Eq. 1: the network sees the glimpse alone"),
    "scales": From((1.0,), "Eq. 4: one window"),
    "brightness": From(None, "Eq. 1"),
    "initial_sigma": From(
        4.0,
        "ours: the paper does not say; at 1, filters of a window on the whole frame "
        "miss most pixels, and without a bias one digit teaches next to nothing",
    ),
    "box": From("corner", "section 5.2"),
    "box_scale": From(1.0, "section 6.2"),
    "frame_size": From(FRAME_SIZE, "section 6.2"),
    "losses": From(
        {"boxes": "localization", "class_probabilities": "squared"},
        "section 6.2; Eq. 13, 15, 16",
    ),
    "loss_weights": From(
        {"boxes": 10.0, "class_probabilities": 100.0},
        "ours: costs add up over the ten frames, their mean, Keras's, being as good as "
        "a tenth of the learning rate; and over the ten classes, as over outputs in "
        "the authors' code, or else windows do not close in on a digit",
    ),
    "reduction": From("sum_over_batch_size", "ours: the paper does not say"),
    "optimizer": From("sgd", "section 6.2"),
    "learning_rate": From(0.001, "section 6.2"),
    "decay": From("constant", "section 6.2"),
    "warmup_steps": From(0, "section 6: the rate is constant"),
    "momentum": From(0.9, "section 6.2"),
    "clipnorm": From(1.0, "section 6.2"),
    "batch_size": From(32, "section 6.2"),
    "steps": From(32_000, "section 6.2"),
    "steps_per_epoch": From(100, "ours: steps between checkpoints"),
    "steps_per_execution": From(1, "ours: without effect on what is learnt"),
    "train_sequences": From(
        100_000, "section 6.2; that each epoch has them in one order is ours"
    ),
    "train_frames": From(10, "section 6.2"),
    "test_frames": From(TEST_FRAMES, "section 6.2"),
    "patience": From(None, "ours: the paper does not say"),
    "mnist_path": From(None, "section 6.2: MNIST"),
    "sample": From(False, "section 6.2: MNIST"),
}
_FAST = {
    "recurrent_cell": "gru",
    "units": 100,
    "glimpse_size": (28, 28),
    "initial_sigma": 6.0,  # at first a blurred view
    "frame_size": FRAME_SIZE,
    "losses": {"corner_boxes": "absolute", "glimpses": "pixels"},
    "loss_weights": {"corner_boxes": 1.0, "glimpses": 30.0},
    "optimizer": "adam",
    "learning_rate": 4e-3,
    "decay": "cosine",
    "clipnorm": 1.0,
    "batch_size": 32,
    "train_frames": 10,
    "test_frames": TEST_FRAMES,
}
_BEST = _FAST | {
    "sees_window": True,
    "brightness": 0.1,
    "scales": (1.0, 3.0),  # all of a digit on its way, and of two the other one
    "learning_rate": 2e-3,  # at 4e-3 some seeds lose their target for good
    "warmup_steps": 300,
    "steps": 2_500,
    "train_frames": 16,  # ten teach too little of how a digit goes on
}
_BEST_OF_ONE = _BEST | {
    "units": 200,
    "box": "corner",
    "losses": _FAST["losses"] | {"boxes": "overlap"},
    "loss_weights": _FAST["loss_weights"] | {"boxes": 20.0},
    "steps": 4_000,
}
_BEST_OF_TWO = _BEST_OF_ONE | {
    "learning_rate": 1e-3,  # at 2e-3 so many units lose their target for good
    "train_frames": 12,  # what is left is in the first ones
    "steps": 14_000,
}


def _presets(digits):
    initial_window = "learned" if digits == 1 else "given"
    where = "covers the frame" if digits == 1 else "80 % of the frame, on the target"
    common = {
        "digits": From(digits, f"section 6.2.{digits}"),
        "initial_window": From(initial_window, f"section 6.2.{digits}: {where}"),
        "test_sequences": From(TEST_SEQUENCES[digits], f"section 6.2.{digits}"),
    }
    return {
        "paper": _PAPER | common,
        "fast": _FAST | common | {"steps": {1: 1_000, 2: 2_000}[digits]},
        "best": {1: _BEST_OF_ONE, 2: _BEST_OF_TWO}[digits] | common,
    }


def moving_mnist(
    digits: Literal[1, 2] = 1,
    preset: Literal["fast", "best", "paper"] = "fast",
    **changes: object,
) -> MovingMNISTRecipe:
    """The recipe of a tracker of one digit, or of one of two.

    Args:
        digits: 1 or 2.
        preset: `"paper"`, the paper's, with where each field is from in `sources`;
            `"fast"`, the quickest good one: a GRU that learns the box and what to see
            in it; or `"best"`, which also sees where its window is and what is around
            it, and trains longer, on longer sequences.
        **changes: fields of `MovingMNISTRecipe` with other values.

    Returns:
        A `MovingMNISTRecipe`.

    Raises:
        ValueError: if an argument is another.
        TypeError: if there is no such field.

    Example:
    >>> ratm_tf.recipes.moving_mnist(digits=2).initial_window
    'given'
    """
    if digits not in (1, 2):
        raise ValueError(f"Expected `digits` to be 1 or 2. Received: {digits!r}")
    table = named("preset", preset, _presets(digits))
    return from_table(MovingMNISTRecipe, preset, table, **changes)
