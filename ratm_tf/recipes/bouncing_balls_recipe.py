"""Bouncing balls: section 6.1 of the paper."""

import dataclasses
import functools
from typing import Literal

import tensorflow as tf

from ratm_tf.datasets import bouncing_balls_sequences, tracker_inputs
from ratm_tf.datasets.bouncing_balls import FRAME_SIZE, TEST_FRAMES, TEST_SEQUENCES
from ratm_tf.datasets.bouncing_balls.sequences import render
from ratm_tf.datasets.oracle import bouncing_balls_oracle, oracle_iou
from ratm_tf.recipes.experiment import Experiment
from ratm_tf.recipes.recipe import From, Recipe, from_table, named
from ratm_tf.types import Implementation

_EPOCH = 100_000 // 16  # The paper's epochs, in steps.


@dataclasses.dataclass(frozen=True, kw_only=True)
class BouncingBallsRecipe(Recipe):
    """Follows a ball that bounces about in a box.

    Attributes:
        penalty: the frames that the objective looks at: `"last"` or `"all"`.
        first_frames: length of the training sequences at first.
        steps_per_frame: steps until they are a frame longer, up to `train_frames`.
        random_window: whether the first window is drawn at random, of each sequence.

    Example:
    >>> recipe = ratm_tf.recipes.bouncing_balls(penalty="last", preset="paper")
    >>> recipe.units, recipe.sources["units"]
    (64, 'section 6.1')
    """

    penalty: str
    first_frames: int
    steps_per_frame: int = 1
    random_window: bool = False

    def build(
        self, *, seed: int = 0, implementation: Implementation = "auto"
    ) -> Experiment:
        return Experiment(
            recipe=self,
            seed=seed,
            tracker=self._tracker(implementation),
            sequences=functools.partial(self._training_data, seed),
            test=self.test_data(seed=seed),
            data={"name": "bouncing_balls"},
        )

    def _training_data(self, seed, start, step=1, batch_size=None):
        """Endless inputs, labels and the weights of the frames under penalty."""
        # A glimpse that lies pixel by pixel on a ball's centre.
        rows, columns = self.glimpse_size
        middle = [FRAME_SIZE[0] // 2, FRAME_SIZE[1] // 2]
        ball = render([[middle[1] + 0.5, middle[0] + 0.5]])
        ball = tf.image.crop_to_bounding_box(
            ball, middle[0] - rows // 2, middle[1] - columns // 2, rows, columns
        )
        ball = tf.cast(ball, tf.float32) / 255.0

        def prepared(step, example):
            length = self.train_frames
            if self.first_frames < length:
                grown = self.first_frames + step // self.steps_per_frame
                length = tf.minimum(grown, length)
                example = {name: values[:, :length] for name, values in example.items()}
            shape = tf.shape(example["boxes"])[:2]
            labels = {
                "boxes": example["boxes"],
                "glimpses": tf.broadcast_to(
                    ball, tf.concat([shape, tf.shape(ball)], axis=0)
                ),
            }
            weights = tf.ones([length])
            if self.penalty == "last":
                weights = tf.one_hot(length - 1, tf.cast(length, tf.int32))
            return tracker_inputs(example), labels, tf.broadcast_to(weights, shape)

        part = start, step, batch_size or self.batch_size
        batches = self._epochs(
            *part,
            functools.partial(
                bouncing_balls_sequences,
                "train",
                num_frames=self.train_frames,
                seed=seed,
                random_window=self.random_window,
            ),
        )
        return self._in_steps(batches, *part).map(prepared)

    def test_data(self, *, seed: int = 0) -> tf.data.Dataset:
        return bouncing_balls_sequences(
            "test",
            num_frames=self.test_frames,
            batch_size=100,
            num_sequences=self.test_sequences,
            seed=seed,
            random_window=self.random_window,
        )

    def oracle_iou(self, *, seed: int = 0) -> dict[str, float]:
        boxes = bouncing_balls_oracle(
            "test",
            num_frames=self.test_frames,
            num_sequences=self.test_sequences,
            seed=seed,
        )
        return oracle_iou(*boxes, self.spans)

    @property
    def spans(self) -> list[tuple[int, int] | None]:
        """The length that trackers are trained on, the whole, and the last frame."""
        length = self.test_frames
        trained = min(self.train_frames, length)
        return sorted({(1, trained), (1, length), (length, length)})

    @property
    def choices(self) -> dict[str, object]:
        """The preset and the frames under penalty."""
        return {"preset": self.preset, "penalty": self.penalty}


def _presets(penalty):
    penalty = From(penalty, "section 6.1")
    paper = {
        "penalty": penalty,
        "recurrent_cell": From("irnn", "section 6.1; Eq. 1-3"),
        "units": From(64, "section 6.1"),
        "recurrent_scale": From(1.0, "ours: the paper has a scaled identity"),
        "use_bias": From(False, "Eq. 1"),
        "glimpse_size": From((5, 5), "section 6.1"),
        "window_update": From("absolute", "Eq. 5"),
        "sees_window": From(False, "Eq. 1: the network sees the glimpse alone"),
        "scales": From((1.0,), "Eq. 4: one window"),
        "brightness": From(None, "Eq. 1"),
        "initial_window": From(
            "given_first", "section 6.1: random in the first frame; Eq. 5: b is learnt"
        ),
        "initial_sigma": From(
            1.0,
            "ours: the paper does not say; the random window's is half its stride",
        ),
        "random_window": From(
            True,
            "section 6.1; its size, from half the frame to all of it, is ours",
        ),
        "box": From("corner", "section 5.2"),
        "box_scale": From(1.0, "section 6.1"),
        "frame_size": From(FRAME_SIZE, "section 6.1"),
        "losses": From({"glimpses": "pixels"}, "section 6.1; Eq. 13, 14"),
        "loss_weights": From(
            {"glimpses": 25.0},
            "the authors' code: squared errors add up over a glimpse's pixels",
        ),
        "reduction": From("mean_with_sample_weight", "ours: the paper does not say"),
        "optimizer": From("sgd", "section 6.1"),
        "learning_rate": From(0.01, "section 6.1"),
        "decay": From("constant", "section 6.1"),
        "warmup_steps": From(0, "section 6: the rate is constant"),
        "momentum": From(0.0, "section 6.1"),
        "clipnorm": From(1.0, "section 6.1"),
        "batch_size": From(16, "section 6.1"),
        "steps": From(200 * _EPOCH, "section 6.1: 200 epochs of 100,000 sequences"),
        "steps_per_epoch": From(_EPOCH, "section 6.1"),
        "steps_per_execution": From(50, "ours: without effect on what is learnt"),
        "train_sequences": From(
            100_000, "section 6.1; that each epoch has them in one order is ours"
        ),
        "train_frames": From(32, "section 6.1"),
        "first_frames": From(32, "section 6.1"),
        "steps_per_frame": From(1, "section 6.1: sequences do not grow"),
        "test_frames": From(TEST_FRAMES, "section 6.1"),
        "test_sequences": From(TEST_SEQUENCES, "section 6.1"),
        "patience": From(None, "ours: the paper does not say"),
    }
    fast = {
        "penalty": penalty,
        "recurrent_cell": "gru",
        "units": 64,
        "glimpse_size": (5, 5),
        "initial_sigma": 4.0,  # at first a blurred view
        "frame_size": FRAME_SIZE,
        "losses": {"corner_boxes": "absolute"},
        "loss_weights": {"corner_boxes": 1.0},
        "reduction": "mean_with_sample_weight",
        "optimizer": "adam",
        "learning_rate": 4e-3,
        "decay": "cosine",
        "clipnorm": 1.0,
        "batch_size": 16,
        "steps": 2_000,
        "steps_per_execution": 50,
        "train_frames": 32,
        # The way to the last frame is long to learn at once.
        "first_frames": 4 if penalty.value == "last" else 32,
        "steps_per_frame": 32,
        "test_frames": TEST_FRAMES,
        "test_sequences": TEST_SEQUENCES,
    }
    presets = {"paper": paper, "fast": fast}
    if penalty.value == "all":
        presets["best"] = fast | {
            "recurrent_cell": "gru+irnn",
            "recurrent_scale": 0.5,
            "brightness": 0.1,
            "sees_window": True,
            "steps": 5_000,
        }
    return presets


def bouncing_balls(
    penalty: Literal["all", "last"] = "all",
    preset: Literal["fast", "best", "paper"] = "fast",
    **changes: object,
) -> BouncingBallsRecipe:
    """The recipe of a tracker of a ball.

    Args:
        penalty: the frames that the objective looks at: `"last"` or `"all"`.
        preset: `"paper"`, the paper's, with where each field is from in `sources`;
            `"fast"`, the quickest good one: a GRU that learns the ball's box; or, with
            a penalty on all frames, `"best"`, which also sees where its window is, with
            an IRNN on top.
        **changes: fields of `BouncingBallsRecipe` with other values.

    Returns:
        A `BouncingBallsRecipe`.

    Raises:
        ValueError: if an argument is another.
        TypeError: if there is no such field.

    Example:
    >>> ratm_tf.recipes.bouncing_balls(steps=100).steps
    100
    """
    if penalty not in ("last", "all"):
        raise ValueError(
            f"Expected `penalty` to be 'last' or 'all'. Received: {penalty!r}"
        )
    table = named("preset", preset, _presets(penalty))
    return from_table(BouncingBallsRecipe, preset, table, **changes)
