"""Any target, in any video."""

import dataclasses
from typing import Literal

import keras
import tensorflow as tf

from ratm_tf import datasets, pretrained
from ratm_tf.attention import CorrelationCell
from ratm_tf.datasets import cutout_sequences, labelled
from ratm_tf.datasets.annotated.folder import find_videos
from ratm_tf.datasets.annotated.videos import split_of
from ratm_tf.recipes.experiment import Experiment
from ratm_tf.recipes.recipe import Recipe, from_table, named
from ratm_tf.types import Implementation


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetsRecipe(Recipe):
    """Follows whatever it is given in the first frame, by what it looks like.

    The cell is a `ratm_tf.CorrelationCell`, not the paper's. Its features were taught
    before, see there, and are frozen; what learns is the network that tells how sure it
    is of its boxes.

    Attributes:
        cutouts_path, pennfudan_path: see `ratm_tf.datasets.cutout_sequences`.
        videos_dir: folder of real videos with boxes, or None; half of each batch is
            random parts of them, without those held out: see `ratm_tf.datasets.videos`.
        features: the features, a `.keras` file or `pretrained:NAME`.
        channels: of the frames, 3 for RGB.

    Example:
    >>> ratm_tf.recipes.targets("cutouts").recurrent_cell
    'gru'
    """

    cutouts_path: str
    pennfudan_path: str | None = None
    videos_dir: str | None = None
    features: str
    channels: int = 3

    def build(
        self, *, seed: int = 0, implementation: Implementation = "auto"
    ) -> Experiment:
        features = pretrained.load(self.features)
        features.trainable = False
        cell = CorrelationCell(
            features,
            self.units,
            context=self.box_scale,
            implementation=implementation,
        )
        tracker = self._compiled(
            cell, metrics={"scores": keras.metrics.AUC(name="auc")}
        )

        def sequences(start, step=1, batch_size=None):
            mixed = self._films if self.videos_dir is None else self._mixed
            return mixed(
                seed, start=start, step=step, batch_size=batch_size or self.batch_size
            )

        videos = {} if self.videos_dir is None else {"videos": self._videos(seed)}
        return Experiment(
            recipe=self,
            seed=seed,
            tracker=tracker,
            sequences=sequences,
            validation=None,
            test=self.test_data(seed=seed),
            data={"name": "cutouts"} | videos,
        )

    def test_data(self, *, seed: int = 0) -> tf.data.Dataset:
        return self._cutouts(
            "test",
            seed,
            num_frames=self.test_frames,
            num_sequences=self.test_sequences,
        )

    @property
    def spans(self) -> list[tuple[int, int] | None]:
        """As many frames as in training, and the whole sequences."""
        return [(1, self.train_frames), None]

    @property
    def choices(self) -> dict[str, object]:
        """The preset, the features and the real videos."""
        names = ("preset", "features", "videos_dir")
        return {name: getattr(self, name) for name in names}

    def _films(self, seed, **part):
        return self._cutouts("train", seed, **part).map(_film_labelled)

    def _mixed(self, seed, *, start, step, batch_size):
        """Batches of which films are a half, and parts of real videos the other."""
        if batch_size % 2:
            raise ValueError(
                "Expected an even `batch_size` where videos are mixed in. Received: "
                f"{batch_size}"
            )
        part = {
            # As many of a worker's sequences before it were of either kind.
            "start": start % step + start // step // 2 * step,
            "step": step,
            "batch_size": batch_size // 2,
        }
        videos = datasets.videos(
            self.videos_dir,
            "train",
            num_frames=self.train_frames,
            frame_size=self.frame_size,
            seed=seed,
            channels=self.channels,
            **part,
        )
        halves = self._films(seed, **part), videos.map(_video_labelled)
        return tf.data.Dataset.zip(halves).map(
            lambda *both: tf.nest.map_structure(lambda *x: tf.concat(x, 0), *both)
        )

    def _videos(self, seed):
        """Names of the videos to learn from."""
        names = [video.name for video in find_videos(self.videos_dir)]
        return split_of("train", names, seed)

    def _cutouts(self, split, seed, **options):
        return cutout_sequences(
            split,
            seed=seed,
            **{
                "num_frames": self.train_frames,
                "batch_size": self.batch_size,
                "frame_size": self.frame_size,
                "cutouts_path": self.cutouts_path,
                "pennfudan_path": self.pennfudan_path,
            }
            | options,
        )


def _film_labelled(film):
    """With boxes that count where they can be seen, and scores that always do."""
    inputs, labels, seen = labelled(film)
    return inputs, labels, _weights(seen, tf.ones_like(seen))


def _video_labelled(video):
    """With boxes and scores that count where there is a box."""
    inputs, labels, boxed = labelled(video)
    return inputs, labels, _weights(boxed, boxed)


def _weights(boxes, scores):
    return {"boxes": boxes, "corner_boxes": boxes, "scores": scores}


_FAST = {
    "recurrent_cell": "gru",
    "units": 48,
    "glimpse_size": (64, 64),
    "initial_window": "given",
    "box_scale": 3.5,
    "frame_size": (160, 160),
    "features": "pretrained:target_features",
    "losses": {"scores": "crossentropy"},
    "loss_weights": {"scores": 1.0},
    "optimizer": "adam",
    "learning_rate": 3e-3,
    "decay": "cosine",
    "warmup_steps": 50,
    "clipnorm": 0.5,
    "batch_size": 8,
    "steps": 400,
    "steps_per_epoch": 25,
    "train_frames": 24,
    "test_frames": 72,
    "test_sequences": 200,
}


def targets(
    cutouts_path: str, preset: Literal["fast"] = "fast", **changes: object
) -> TargetsRecipe:
    """The recipe of a tracker of any target.

    Args:
        cutouts_path: folder of cut-outs and backgrounds, see
            `ratm_tf.datasets.cutout_sequences`.
        preset: `"fast"`.
        **changes: fields of `TargetsRecipe` with other values.

    Returns:
        A `TargetsRecipe`.

    Raises:
        ValueError: if there is no such preset.
        TypeError: if there is no such field.

    Example:
    >>> ratm_tf.recipes.targets("cutouts", steps=100).train_frames
    24
    """
    table = named("preset", preset, {"fast": _FAST})
    table = table | {"cutouts_path": str(cutouts_path)}
    return from_table(TargetsRecipe, preset, table, **changes)
