"""The flags that choose what a tracker is shown."""

from absl import flags

DATASET = flags.DEFINE_enum(
    "dataset",
    "moving_mnist",
    [
        "bouncing_balls",
        "cutouts",
        "kth",
        "moving_mnist",
        "moving_mnist_two_digits",
        "otb",
        "people",
        "videos",
    ],
    "What to track.",
)
FRAMES = flags.DEFINE_integer(
    "frames", None, "Frames of each sequence (default: the paper's).", lower_bound=1
)
_MNIST_PATH = flags.DEFINE_string(
    "mnist_path",
    None,
    "MNIST as an .npz file (default: Keras's, or the sample that the package ships).",
)
_KTH_DIR = flags.DEFINE_string(
    "kth_dir", "data/kth", "KTH's videos and KTHBoundingBoxInfo.txt."
)
_TEST_SUBJECT = flags.DEFINE_integer("test_subject", 1, "The KTH subject to track.")
_SKIP_BAD = flags.DEFINE_bool(
    "skip_bad", False, "Leave out KTH sequences that cannot be read, each with a log."
)
_PENNFUDAN_PATH = flags.DEFINE_string(
    "pennfudan_path", None, "The Penn-Fudan database (default: download it)."
)
_CUTOUTS_PATH = flags.DEFINE_string(
    "cutouts_path", None, "Folder of cut-outs and backgrounds."
)


def recipe(starts_on_target, **changes):
    """The recipe whose sequences the flags ask for.

    Args:
        starts_on_target: whether a ball's tracker is told where to look first.
        **changes: fields of the recipe with other values; None leaves one as it is.
    """
    from ratm_tf import recipes

    changes = {"test_frames": FRAMES.value} | changes
    changes = {name: value for name, value in changes.items() if value is not None}
    match DATASET.value:
        case "bouncing_balls":
            return recipes.bouncing_balls(
                penalty="all", random_window=starts_on_target, **changes
            )
        case "moving_mnist" | "moving_mnist_two_digits" as name:
            digits = 1 if name == "moving_mnist" else 2
            return recipes.moving_mnist(
                digits, mnist_path=_MNIST_PATH.value, sample=True, **changes
            )
        case "cutouts":
            if _CUTOUTS_PATH.value is None:
                raise ValueError(
                    "Expected --cutouts_path with --dataset=cutouts. Received none"
                )
            return recipes.targets(
                _CUTOUTS_PATH.value, pennfudan_path=_PENNFUDAN_PATH.value, **changes
            )
        case "people":
            return recipes.people(pennfudan_path=_PENNFUDAN_PATH.value, **changes)
        case "kth":
            return recipes.people(
                "kth",
                test_subject=_TEST_SUBJECT.value,
                kth_dir=_KTH_DIR.value,
                skip_bad=_SKIP_BAD.value,
            )
        case name:
            raise ValueError(
                f"Expected --dataset to be one that trackers train on. Received: {name}"
            )
