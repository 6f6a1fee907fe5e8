"""People that walk, jog and run: section 6.3 of the paper."""

import dataclasses
from typing import Literal

import keras
import tensorflow as tf

from ratm_tf.datasets import kth_sequences, labelled, people_sequences
from ratm_tf.datasets.kth import MOVING
from ratm_tf.datasets.kth.videos import subjects_at_hand
from ratm_tf.datasets.parts import PER_FRAME, random_parts
from ratm_tf.datasets.people import (
    FRAME_SIZE,
    TEST_FRAMES,
    TEST_SEQUENCES,
    TRAIN_FRAMES,
)
from ratm_tf.features import convolutional_features, hidden_features
from ratm_tf.objectives import WeightPenalty
from ratm_tf.pretrained import load_pretrained
from ratm_tf.recipes.experiment import Experiment
from ratm_tf.recipes.recipe import (
    BEST_PARTS,
    FAST_ON_TARGET,
    LEARNT_CNNS,
    From,
    Recipe,
    from_table,
    named,
    start_from,
)
from ratm_tf.types import Implementation


@dataclasses.dataclass(frozen=True, kw_only=True)
class PeopleRecipe(Recipe):
    """Follows a person, in KTH or in KTH-like videos of cut-out people.

    Attributes:
        dataset: `"kth"` or `"people"`.
        test_subject: the KTH subject to leave out, 1..25.
        kth_dir: folder of KTH's videos and `KTHBoundingBoxInfo.txt`.
        skip_bad: whether to leave out KTH sequences that cannot be read.
        pennfudan_path: the Penn-Fudan database, for people; None downloads it.
        detector: of the boxes of `dataset="people"` in training and validation, see
            `ratm_tf.datasets.people_sequences`; test sequences have the fine one's.
        initial_model: a tracker of the same parts to start from, a `.keras` file or
            `pretrained:NAME`; None starts from scratch.
        features: `"human_cnn"`, the paper's; or `"small_cnn"` or `"even_cnn"`, which
            sees glimpses of one contrast, and which both learn from the start.
        finetune: whether the human CNN learns, too.
        feature_scale: factor of the human CNN's convolutional features.
        hidden_scale: factor of its hidden features, in the objective.
        weight_penalty: factor of the penalty on `W` and `W_in` (Eq. 18).
        small_start: whether `W` and `W_in` start as small as in the authors' code.
        validation_sequences: how many of `dataset="people"`, of as many frames as
            `train_sequences` have: `train_frames`, and `TRAIN_FRAMES` at least; of KTH
            there are as many as there are.
        first_frames: length of the training sequences at first.
        steps_per_frame: steps until they are a frame longer, up to `train_frames`.

    Example:
    >>> recipe = ratm_tf.recipes.people(preset="paper")
    >>> recipe.small_start, recipe.sources["small_start"]
    (True, "the authors' code")
    """

    dataset: str
    test_subject: int | None = None
    kth_dir: str = "data/kth"
    skip_bad: bool = False
    pennfudan_path: str | None = None
    detector: str = "fine"
    initial_model: str | None = None
    features: str
    finetune: bool = False
    feature_scale: float = 1.0
    hidden_scale: float = 1.0
    weight_penalty: float = 0.0
    small_start: bool = False
    train_sequences: int = 1_104
    validation_sequences: int = 48
    first_frames: int
    steps_per_frame: int = 160

    def build(
        self, *, seed: int = 0, implementation: Implementation = "auto"
    ) -> Experiment:
        tracker = self._people_tracker(implementation)
        examples = list(self._videos("train", seed).as_numpy_iterator())

        def sequences(start, step=1, batch_size=None):
            batch_size = batch_size or self.batch_size
            parts = random_parts(
                examples,
                num_frames=self.train_frames,
                start=start,
                step=step,
                seed=seed,
            )
            batches = parts.batch(batch_size)
            return self._in_steps(batches, start, step, batch_size).map(shortened)

        def shortened(step, example):
            length = self.first_frames + step // self.steps_per_frame
            cut = {name: example[name][:, :length] for name in PER_FRAME}
            return labelled(example | cut)

        validation = self._videos("validation", seed).padded_batch(self.batch_size)
        return Experiment(
            recipe=self,
            seed=seed,
            tracker=tracker,
            sequences=sequences,
            validation=validation.map(labelled).cache(),
            test=self.test_data(seed=seed),
            data={"name": self.dataset},
        )

    def _people_tracker(self, implementation):
        options = {}
        if self.weight_penalty:
            options["kernel_regularizer"] = WeightPenalty(self.weight_penalty)
        if self.features in LEARNT_CNNS:
            options["features"] = LEARNT_CNNS[self.features](self.glimpse_size)
        else:
            cnn = load_pretrained("human_cnn")
            scale = self.feature_scale
            features = _scaled(convolutional_features(cnn), scale)
            objective = hidden_features(cnn, features, scale)
            objective = _scaled(objective, self.hidden_scale)
            objective.trainable = self.finetune  # and the features, a part of it
            options |= {"features": features, "objectives": {"features": objective}}
            options["return_features"] = True  # so that convolutions run once
        tracker = self._tracker(implementation, **options)
        if self.small_start:
            kernel = tracker.cell.recurrent_cell.kernel
            window = tracker.cell.window.kernel
            kernel.assign(keras.random.normal(kernel.shape, stddev=0.001))
            window.assign(keras.random.uniform(window.shape, -0.001, 0.001))
        if self.initial_model is not None:
            start_from(tracker, self.initial_model)
        return tracker

    def test_data(self, *, seed: int = 0) -> tf.data.Dataset:
        return self._videos("test", seed).padded_batch(self.batch_size)

    @property
    def subjects(self) -> list[int]:
        """The KTH subjects to leave out, one after the other."""
        return subjects_at_hand(self.kth_dir, MOVING, self.skip_bad)

    @property
    def spans(self) -> list[tuple[int, int] | None]:
        """Ten frames, of KTH thirty, and the whole sequences."""
        return [(1, 10), (1, 30), None] if self.dataset == "kth" else [(1, 10), None]

    @property
    def choices(self) -> dict[str, object]:
        """The data set, the subject left out, the preset, and what learns."""
        names = ("dataset", "test_subject", "preset", "finetune")
        return {name: getattr(self, name) for name in names}

    def _videos(self, split, seed):
        """Whole sequences of a split."""
        if self.dataset == "kth":
            return kth_sequences(
                split,
                data_dir=self.kth_dir,
                test_subject=self.test_subject,
                seed=seed,
                skip_bad=self.skip_bad,
            )
        counts = {
            "train": self.train_sequences,
            "validation": self.validation_sequences,
            "test": self.test_sequences,
        }
        examples = people_sequences(
            "test" if split == "test" else "train",
            num_frames=(
                self.test_frames
                if split == "test"
                else max(self.train_frames, TRAIN_FRAMES)
            ),
            num_sequences=counts[split],
            start=self.train_sequences if split == "validation" else 0,
            seed=seed,
            pennfudan_path=self.pennfudan_path,
            detector="fine" if split == "test" else self.detector,
        )
        return examples.map(_as_detected)


def _as_detected(example):
    """An example with a detector's boxes, as KTH's are."""
    kept = ("frames", "initial_box", "mask")
    return {n: example[n] for n in kept} | {"boxes": example["detected_boxes"]}


def _scaled(features, scale):
    outputs = keras.layers.Rescaling(scale)(features.output)
    return keras.Model(features.input, outputs)


_PAPER = {
    "recurrent_cell": From("irnn", "section 6.3; Eq. 1-3"),
    "units": From(32, "section 6.3"),
    "recurrent_scale": From(1.0, "ours: the paper has a scaled identity"),
    "use_bias": From(False, "Eq. 1"),
    "small_start": From(True, "the authors' code"),
    "glimpse_size": From((28, 28), "section 6.3"),
    "features": From("human_cnn", "section 6.3"),
    "initial_model": From(None, "section 6.3"),
    "finetune": From(False, "section 6.3"),
    "feature_scale": From(
        74.0,
        "the authors' code: frames in 0..255 make its features so many times as large "
        "as those of our network, on the same people",
    ),
    "hidden_scale": From(40.0, "the authors' code, likewise"),
    "window_update": From("residual", "the authors' code; the paper has Eq. 5"),
    "sees_window": From(False, "Eq. 1: the network sees the glimpse alone"),
    "scales": From((1.0,), "Eq. 4: one window"),
    "brightness": From(None, "Eq. 1"),
    "initial_window": From("given", "section 6.3"),
    "initial_sigma": From(1.0, "ours: sigma of a given window is half its stride"),
    "box": From("corner", "section 5.2"),
    "box_scale": From(1.5, "section 6.3"),
    "frame_size": From(FRAME_SIZE, "section 6.3"),
    "losses": From({"features": "squared"}, "section 6.3; Eq. 13, 15"),
    "loss_weights": From({"features": 1.0}, "section 6.3"),
    "reduction": From("sum_over_batch_size", "ours: the paper does not say"),
    "weight_penalty": From(
        0.2, "the authors' code, of mean squares; Eq. 18 adds them up, without a factor"
    ),
    "optimizer": From("sgd", "section 6.3"),
    "learning_rate": From(0.001, "section 6.3"),
    "decay": From("constant", "section 6.3"),
    "warmup_steps": From(0, "section 6: the rate is constant"),
    "momentum": From(0.0, "section 6.3"),
    "clipnorm": From(1.0, "section 6.3"),
    "batch_size": From(16, "section 6.3"),
    "steps": From(4_800, "ours: 30 lengths of 160 steps"),
    "steps_per_epoch": From(100, "ours: steps between checkpoints"),
    "steps_per_execution": From(1, "ours: without effect on what is learnt"),
    "train_sequences": From(1_104, "section 6.3: as many as of 23 of KTH's subjects"),
    "validation_sequences": From(48, "section 6.3: as many as of one"),
    "train_frames": From(30, "section 6.3"),
    "first_frames": From(5, "section 6.3"),
    "steps_per_frame": From(160, "section 6.3"),
    "patience": From(16, "ours: as long as ten lengths; the best weights are kept"),
    "detector": From("fine", "ours: people in place of KTH's"),
    "skip_bad": From(False, "ours: a sequence that cannot be read is an error"),
    "kth_dir": From("data/kth", "section 6.3: KTH"),
    "pennfudan_path": From(None, "ours: people in place of KTH's"),
}
_FAST = FAST_ON_TARGET | {
    "features": "small_cnn",
    "frame_size": FRAME_SIZE,
    "train_frames": 20,
    "first_frames": 20,
}
_BEST = (
    _FAST
    | BEST_PARTS
    | {
        "losses": {"corner_boxes": "relative", "boxes": "overlap"},
        "loss_weights": {"corner_boxes": 1.0, "boxes": 0.5},
        "detector": "coarse",
        "train_sequences": 4_000,
        "train_frames": 28,  # as many as are unrolled
        "first_frames": 28,
        "warmup_steps": 100,
        "steps": 2_000,
        "patience": None,
    }
)


def people(
    dataset: Literal["people", "kth"] = "people",
    preset: Literal["fast", "best", "paper"] = "fast",
    test_subject: int | None = None,
    **changes: object,
) -> PeopleRecipe:
    """The recipe of a tracker of people.

    Args:
        dataset: `"kth"`, with one subject left out, or `"people"`, KTH-like videos of
            cut-out people.
        preset: `"paper"`, the paper's, with where each field is from in `sources`;
            `"fast"`, the quickest good one: a GRU with a small CNN of its own, whose
            windows move in units of their size; or `"best"`, which also sees where its
            window is and what is around it, in even light, and trains longer, on more
            and longer sequences, whose boxes err as KTH's do.
        test_subject: the KTH subject to leave out, 1..25.
        **changes: fields of `PeopleRecipe` with other values.

    Returns:
        A `PeopleRecipe`.

    Raises:
        ValueError: if an argument is another.
        TypeError: if there is no such field.

    Example:
    >>> ratm_tf.recipes.people("kth", test_subject=7).test_frames is None
    True
    """
    if dataset not in ("kth", "people"):
        raise ValueError(
            f"Expected `dataset` to be 'kth' or 'people'. Received: {dataset!r}"
        )
    table = named("preset", preset, {"paper": _PAPER, "fast": _FAST, "best": _BEST})
    if dataset == "kth":
        tests = From(None, "section 6.3: all sequences of a subject, whole")
        data = {"test_frames": tests, "test_sequences": tests}
    else:
        tests = "ours: people in place of KTH's"
        data = {
            "test_frames": From(TEST_FRAMES, tests),
            "test_sequences": From(TEST_SEQUENCES, tests),
        }
    where = "section 6.3" if dataset == "kth" else "ours: people in place of KTH's"
    data |= {
        "dataset": From(dataset, where),
        "test_subject": From(test_subject, where),
    }
    return from_table(PeopleRecipe, preset, table | data, **changes)
