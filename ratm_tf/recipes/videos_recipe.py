"""Targets in videos of one's own."""

import dataclasses
import functools
from typing import Literal

import numpy as np
import tensorflow as tf

from ratm_tf import datasets
from ratm_tf.datasets import labelled
from ratm_tf.datasets.annotated import SPLITS
from ratm_tf.datasets.annotated.folder import find_videos
from ratm_tf.datasets.annotated.videos import split_of
from ratm_tf.recipes.experiment import Experiment
from ratm_tf.recipes.recipe import (
    BEST_PARTS,
    FAST_ON_TARGET,
    LEARNT_CNNS,
    Recipe,
    from_table,
    named,
    start_from,
)
from ratm_tf.types import Implementation


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideosRecipe(Recipe):
    """Follows a given target in one's own videos.

    The videos that are held out to validate and to test are drawn by the seed, see
    `ratm_tf.datasets.videos`. Sequences in training are random parts of the others.

    Attributes:
        data_dir: folder of the videos, with boxes beside them.
        first_frame: the number of the first frame in the column `frame` of tables.
        initial_model: a tracker of the same parts to start from, a `.keras` file or
            `pretrained:NAME`; None starts from scratch.
        features: `"even_cnn"` or `"small_cnn"`, which learn from the start, see
            `PeopleRecipe`; or `"pixels"`, the glimpse as it is.
        channels: of the frames, 1 for grey, 3 for RGB.

    Example:
    >>> recipe = ratm_tf.recipes.videos("my_videos", initial_model=None, units=50)
    >>> recipe.frame_size
    (120, 160)
    """

    data_dir: str
    first_frame: int = 0
    initial_model: str | None
    features: str = "even_cnn"
    channels: int = 1

    def build(
        self, *, seed: int = 0, implementation: Implementation = "auto"
    ) -> Experiment:
        networks = LEARNT_CNNS | {"pixels": lambda *_: None}
        network = named("features", self.features, networks)
        features = network(self.glimpse_size, self.channels)
        tracker = self._tracker(implementation, features=features)
        if self.initial_model is not None:
            start_from(tracker, self.initial_model)

        def sequences(start, step=1, batch_size=None):
            parts = self._epochs(
                start,
                step,
                batch_size or self.batch_size,
                functools.partial(
                    self._videos, "train", seed, num_frames=self.train_frames
                ),
            )
            return parts.map(labelled)

        found = find_videos(self.data_dir, self.first_frame)
        names = [video.name for video in found]
        return Experiment(
            recipe=self,
            seed=seed,
            tracker=tracker,
            sequences=sequences,
            validation=self._videos("validation", seed).map(labelled).cache(),
            test=self.test_data(seed=seed),
            data={"name": "videos"}
            | {split: split_of(split, names, seed) for split in SPLITS},
        )

    def test_data(self, *, seed: int = 0) -> tf.data.Dataset:
        return self._videos("test", seed, num_sequences=self.test_sequences)

    def shown(self, *, seed: int = 0) -> list[dict[str, np.ndarray]]:
        """The sequences to look at before anything is trained.

        Args:
            seed: integer, that chooses the splits.

        Returns:
            List of examples of `ratm_tf.datasets`: two sequences to train on, or all
            if there are fewer, and one to validate.
        """
        return [
            example
            for split, count in (("train", 2), ("validation", 1))
            for example in self._videos(
                split, seed, num_sequences=count, batch_size=None
            ).as_numpy_iterator()
        ]

    @property
    def spans(self) -> list[tuple[int, int] | None]:
        """As many frames as in training, and the whole sequences."""
        return [(1, self.train_frames), None]

    @property
    def choices(self) -> dict[str, object]:
        """The videos, the preset, and what training starts from."""
        names = ("data_dir", "preset", "initial_model")
        return {name: getattr(self, name) for name in names}

    def _videos(self, split, seed, **options):
        return datasets.videos(
            self.data_dir,
            split,
            seed=seed,
            **{
                "batch_size": self.batch_size,
                "frame_size": self.frame_size,
                "first_frame": self.first_frame,
                "channels": self.channels,
            }
            | options,
        )


_FAST = (
    FAST_ON_TARGET
    | BEST_PARTS
    | {
        "initial_model": "pretrained:people",  # which is made of the same parts
        "frame_size": (120, 160),
        "train_frames": 10,  # Of a target that is lost nothing is learnt.
        "test_frames": None,
        "test_sequences": None,
    }
)


def videos(
    data_dir: str, preset: Literal["fast"] = "fast", **changes: object
) -> VideosRecipe:
    """The recipe of a tracker of what is in one's own videos.

    Args:
        data_dir: folder of the videos, with boxes beside them, see
            `ratm_tf.datasets.videos`.
        preset: `"fast"`: the packaged tracker of people, trained on.
        **changes: fields of `VideosRecipe` with other values.

    Returns:
        A `VideosRecipe`.

    Raises:
        ValueError: if there is no such preset.
        TypeError: if there is no such field.

    Example:
    >>> ratm_tf.recipes.videos("my_videos", steps=100).initial_model
    'pretrained:people'
    """
    table = named("preset", preset, {"fast": _FAST}) | {"data_dir": str(data_dir)}
    return from_table(VideosRecipe, preset, table, **changes)
