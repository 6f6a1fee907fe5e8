r"""Trains RATM to follow walking, jogging and running people (section 6.3).

On KTH it leaves one subject out, or each of the 25 in turn, with --skip_bad each of
those of whom there is a video; without KTH's videos it trains on KTH-like ones of
cut-out people:

ratm-tf train kth --kth_dir=kth --test_subject=all
ratm-tf train kth --dataset=people --pennfudan_path=PennFudanPed

Writes to MODEL_DIR the trained model (model.keras), its IoU on test sequences
(metrics.json), a picture of tracked test sequences (film_strip.png) and TensorBoard
logs; started again after an interruption, it goes on from the last epoch. With
--test_subject=all each subject has a folder, and metrics.json their averages.
"""

from absl import flags

from ratm_tf.cli import training

flags.adopt_module_key_flags(training)
_DATASET = flags.DEFINE_enum("dataset", "kth", ["kth", "people"], "What to track.")
_TEST_SUBJECT = flags.DEFINE_enum(
    "test_subject",
    "all",
    ["all", *map(str, range(1, 26))],
    "The KTH subject to leave out, or all in turn.",
)
_KTH_DIR = flags.DEFINE_string(
    "kth_dir", "data/kth", "KTH's videos and KTHBoundingBoxInfo.txt."
)
_SKIP_BAD = flags.DEFINE_bool(
    "skip_bad", False, "Leave out KTH sequences that cannot be read, each with a log."
)
_PENNFUDAN_PATH = flags.DEFINE_string(
    "pennfudan_path", None, "The Penn-Fudan database (default: download it)."
)
_INITIAL_MODEL = flags.DEFINE_string(
    "initial_model",
    None,
    "A tracker by the same preset to start from, a .keras file or pretrained:NAME; "
    "pretrained:people is by --preset=best.",
)
_FINETUNE = flags.DEFINE_bool(
    "finetune", False, "Let the paper preset's human CNN learn, too."
)


def main(_):
    """Trains, evaluates and saves a tracker, or one for each subject."""
    from ratm_tf import recipes

    changes = training.changes()
    if _DATASET.value == "kth":
        changes |= {"kth_dir": _KTH_DIR.value, "skip_bad": _SKIP_BAD.value}
        changes.pop("test_sequences", None)  # All of a subject's.
        if _TEST_SUBJECT.value != "all":
            changes["test_subject"] = int(_TEST_SUBJECT.value)
    else:
        changes["pennfudan_path"] = _PENNFUDAN_PATH.value
    recipe = recipes.people(
        _DATASET.value,
        training.PRESET.value,
        finetune=_FINETUNE.value,
        initial_model=_INITIAL_MODEL.value,
        **changes,
    )
    all_subjects = _DATASET.value == "kth" and _TEST_SUBJECT.value == "all"
    training.train(recipe, "runs/kth", all_subjects)
