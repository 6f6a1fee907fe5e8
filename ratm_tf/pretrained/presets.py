"""The trained models that ship with the package, as a table of data."""

import dataclasses
from pathlib import Path

_FOLDER = Path(__file__).parent
_RENDERED = "sequences rendered by `ratm_tf.datasets`, of no other origin"
_MNIST = "sequences rendered of MNIST's training split (LeCun, Cortes; CC BY-SA 3.0)"
_PEOPLE = (
    "videos made of cut-outs of the Penn-Fudan database (Wang, Shi, Song, Shen, 2007; "
    "no stated licence: none of it is in the weights' file)"
)
_CUTOUTS = (
    "films made of cut-outs of ECSSD (Yan, Xu, Shi, Jia, 2013), the Human Segmentation "
    "Dataset (Shenoy) and the Penn-Fudan database before photographs of Sun-Hays 80, "
    "Urban100 and BSDS500 (no stated licences: none of it is in the weights' file)"
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """A model that ships with the package.

    Attributes:
        name: what `load_pretrained` knows it by.
        description: what it does.
        command: how it was trained, after `python experiments/`. Trackers then got
            their score by `fit_score.py`, on training sequences of their data set.
        follows: what it has from the paper.
        differs: what it does otherwise.
        data: what it was trained on, and under what terms.
        figures: what was measured, in percent, by the measure's name; corner IoUs on
            the test sequences that `experiments/evaluate.py` takes by default.
    """

    name: str
    description: str
    command: str
    follows: str
    differs: str
    data: str
    figures: dict

    @property
    def path(self) -> Path:
        """The `.keras` file."""
        return _FOLDER / f"{self.name}.keras"

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="bouncing_balls",
            description="Tracks a ball on frames of 20x20.",
            command="train_bouncing_balls.py --penalty=all --preset=best",
            follows="frames, units, glimpse, batch and the penalty on all frames of "
            "section 6.1",
            differs="a GRU under an IRNN, which see their window, and glimpses in even "
            "light; Adam; learns the corner box in place of a ball's pixels; starts on "
            "a learnt view of the whole frame",
            data=_RENDERED,
            figures={"frames 1-32": 94.32},
        ),
        Preset(
            name="bouncing_balls_last",
            description="Tracks a ball on frames of 20x20, to be there at the end.",
            command="train_bouncing_balls.py --penalty=last",
            follows="frames, units, glimpse, batch and the penalty on the last frame "
            "of section 6.1",
            differs="a GRU; Adam; learns the corner box in place of a ball's pixels; "
            "starts on a learnt view of the whole frame; sequences grow from 4 frames "
            "to 32",
            data=_RENDERED,
            figures={"frame 32": 94.06, "frames 1-32": 57.66},
        ),
        Preset(
            name="moving_mnist",
            description="Tracks a digit on frames of 100x100.",
            command="train_mnist.py --preset=best",
            follows="frames, glimpse and batch of section 6.2.1",
            differs="a GRU of 200 units that sees its window and around it, three "
            "times as wide, and glimpses in even light; Adam; sequences of 16 frames; "
            "learns the corner box, also by its overlap, and the digit's pixels in "
            "place of its class",
            data=_MNIST,
            figures={"frames 1-30": 83.91, "frames 1-10": 75.60},
        ),
        Preset(
            name="moving_mnist_two_digits",
            description="Tracks one of two digits on frames of 100x100; starts on a "
            "box of 80x80 pixels around it.",
            command="train_mnist.py --digits=2 --preset=best --seed=1",
            follows="frames, units, glimpse, batch and first window of section 6.2.2",
            differs="a GRU that sees its window and around it, three times as wide, "
            "and glimpses in even light; Adam; sequences of 12 frames; learns the "
            "corner box, its overlap and the digit's pixels in place of its class",
            data=_MNIST,
            figures={"frames 1-30": 82.25, "frames 1-10": 73.23},
        ),
        Preset(
            name="people",
            description="Tracks a person on frames of any size; starts on its box.",
            command="train_kth.py --dataset=people --preset=best",
            follows="glimpse, batch and the windows 1.5 times the box of section 6.3",
            differs="a GRU that sees its window and around it, twice as wide; a small "
            "CNN of its own, which sees glimpses of one contrast; Adam; learns the "
            "corner box, in units of its size and by its overlap; windows move in "
            "units of theirs",
            data=_PEOPLE,
            figures={"whole sequences": 76.97},
        ),
        Preset(
            name="targets",
            description="Tracks any target on RGB frames of any size; starts on its "
            "box, and looks for what it looks like.",
            command="train_targets.py",
            follows="a recurrent network, a Gaussian glimpse, features of it",
            differs="a correlation filter and a histogram of colours remember the "
            "target, and find it in the frame at hand; the recurrent network tells how "
            "sure that is",
            data=_CUTOUTS,
            figures={"TB-100, ten targets whole": 75.2},
        ),
        Preset(
            name="mnist_cnn",
            description="Tells which digit a glimpse of 28x28 shows.",
            command="pretrain_mnist_cnn.py",
            follows="the classifier of section 6.2",
            differs="nothing known",
            data="MNIST's training split (LeCun, Cortes; CC BY-SA 3.0)",
            figures={"validation accuracy": 99.29, "test accuracy": 99.28},
        ),
        Preset(
            name="human_cnn",
            description="Tells whether a glimpse of 28x28 shows a person.",
            command="pretrain_human_cnn.py --epochs=22 --patience=8",
            follows="the classifier of section 6.3",
            differs="Adam; crops that differ in place, size, light and direction",
            data="patches of the INRIA person data set (Dalal, Triggs, 2005; for "
            "research: none of it is in the weights' file)",
            figures={"test AUC": 98.5, "test accuracy": 93.9},
        ),
        Preset(
            name="target_features",
            description="Describes glimpses of 64x64, in RGB, so that a correlation "
            "filter tells a target from what is around it.",
            command="pretrain_target_features.py --steps=0 "
            "--efficientnet_path=efficientnet-lite0-57934424.pth",
            follows="nothing of the paper",
            differs="the first three blocks of EfficientNet-Lite0 (Tan, Le, 2019)",
            data="ImageNet, by others (weights: Apache License 2.0)",
            figures={"found in test films": 92.57},
        ),
    )
}
