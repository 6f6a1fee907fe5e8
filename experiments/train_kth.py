r"""Trains RATM to follow walking, jogging and running people (section 5.3).

On KTH it leaves one subject out, or each of the 25 in turn; without KTH's videos it
trains on KTH-like ones of cut-out people:

python experiments/train_kth.py --kth_dir=kth --test_subject=all
python experiments/train_kth.py --dataset=people --pennfudan_path=PennFudanPed

Writes to MODEL_DIR the trained model (model.keras), its IoU on test sequences
(metrics.json), a picture of tracked test sequences (film_strip.png) and TensorBoard
logs; started again after an interruption, it goes on from the last epoch. With
--test_subject=all each subject has a folder, and metrics.json their averages.
"""

import json
import pathlib
import statistics

import keras
import program
from absl import app, flags

import ratm_tf
from ratm_tf.datasets import kth, people
from ratm_tf.datasets.parts import PER_FRAME, random_parts
from ratm_tf.features import convolutional_features, hidden_features
from ratm_tf.objectives import RelativeBoxLoss, WeightPenalty

BATCH_SIZE = 16
BOX_SCALE = 1.5
SUBJECTS = range(1, 26)
# As many as KTH has: 23 subjects to train on and one to validate.
PEOPLE_SEQUENCES = {"train": 1_104, "validation": 48}
PEOPLE_FRAMES = 30
FRAMES_SHAPE = {"frames": (None, None, 120, 160, 1)}

# With SGD and clipped gradients, the scale of the features is part of the recipe: those
# of the authors' network are so many times larger than ours, on the same people.
FEATURE_SCALE, HIDDEN_SCALE = 74.0, 40.0

flags.adopt_module_key_flags(program)
flags.FLAGS.set_default("model_dir", "runs/kth")
flags.FLAGS.set_default("test_sequences", 2_000)
_DATASET = flags.DEFINE_enum("dataset", "kth", ["kth", "people"], "What to track.")
_TEST_SUBJECT = flags.DEFINE_enum(
    "test_subject",
    "all",
    ["all", *map(str, SUBJECTS)],
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
_FINETUNE = flags.DEFINE_bool(
    "finetune", False, "Let the paper preset's human CNN learn, too."
)


def fast_tracker(steps):
    """A GRU with a small CNN of its own, whose windows move in units of their size."""
    features = keras.Sequential(
        [
            keras.Input([28, 28, 1]),
            keras.layers.Conv2D(16, 5, 2, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, 2, padding="same", activation="relu"),
        ],
        name="features",
    )
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            recurrent_cell=keras.layers.GRUCell(100),
            features=features,
            window_update="relative",
            initial_window="given",
            implementation=program.IMPLEMENTATION.value,
        ),
        box_scale=BOX_SCALE,
    )
    tracker.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(1e-3, steps), global_clipnorm=0.1
        ),
        loss={"corner_boxes": RelativeBoxLoss()},
        metrics={"corner_boxes": ratm_tf.MeanIoU(), "boxes": ratm_tf.MeanIoU()},
    )
    tracker.build(FRAMES_SHAPE)
    return tracker


def paper_tracker(steps):
    """The paper's IRNN on a human CNN, whose upper features are to be the target's."""
    del steps
    cnn = ratm_tf.load_pretrained("human_cnn")
    features = scaled(convolutional_features(cnn), FEATURE_SCALE)
    objective = scaled(hidden_features(cnn), HIDDEN_SCALE)
    features.trainable, objective.trainable = _FINETUNE.value, False
    tracker = ratm_tf.Tracker(
        ratm_tf.RATMCell(
            units=32,
            features=features,
            window_update="residual",
            initial_window="given",
            kernel_regularizer=WeightPenalty(0.2),
            implementation=program.IMPLEMENTATION.value,
        ),
        objectives={"features": objective},
        box_scale=BOX_SCALE,
    )
    tracker.compile(
        keras.optimizers.SGD(0.001, global_clipnorm=1.0),
        loss={"features": keras.losses.MeanSquaredError()},
        metrics={"corner_boxes": ratm_tf.MeanIoU(), "boxes": ratm_tf.MeanIoU()},
    )
    tracker.build(FRAMES_SHAPE)
    # As in the published code.
    kernel, window = tracker.cell.recurrent_cell.kernel, tracker.cell.window.kernel
    kernel.assign(keras.random.normal(kernel.shape, stddev=0.001))
    window.assign(keras.random.uniform(window.shape, -0.001, 0.001))
    return tracker


def scaled(features, scale):
    """Multiplies features."""
    outputs = keras.layers.Rescaling(scale)(features.output)
    return keras.Model(features.input, outputs)


# Steps; frames of a sequence, at first and after one more every 160 steps; epochs of
# 100 steps without a better validation IoU before training stops: all of the paper's,
# which keeps the best.
PRESETS = {
    "fast": (fast_tracker, 1_500, (20, 20), 10),
    "paper": (paper_tracker, 4_800, (5, 30), 48),
}


def main(_):
    """Trains, evaluates and saves a tracker, or one for each subject."""
    model_dir = pathlib.Path(program.MODEL_DIR.value)
    if _DATASET.value == "people":
        program.report(train(model_dir))
    elif _TEST_SUBJECT.value != "all":
        program.report(train(model_dir, int(_TEST_SUBJECT.value)))
    else:
        folds = [fold(model_dir, subject) for subject in SUBJECTS]
        ious = [name for name in folds[0] if "iou" in name]
        # Over the frames of each subject, then over subjects.
        averages = {i: statistics.mean(each[i] for each in folds) for i in ious}
        program.report(folds[0] | {"test_subject": "all"} | averages)


def fold(model_dir, subject):
    """Trains without one subject, unless an earlier call finished it."""
    folder = model_dir / f"subject{subject:02d}"
    finished = folder / "metrics.json"
    if finished.exists():
        print(f"Subject {subject} is done: {finished}")
        return json.loads(finished.read_text())
    metrics = train(folder, subject)
    finished.write_text(json.dumps(metrics, indent=2) + "\n")
    keras.backend.clear_session()
    return metrics


def train(model_dir, test_subject=None):
    """Trains and evaluates one tracker; returns its metrics."""
    keras.utils.set_random_seed(program.SEED.value)
    build, steps, (first_frames, last_frames), patience = PRESETS[program.PRESET.value]
    steps = program.STEPS.value or steps
    run = {
        "dataset": _DATASET.value,
        "test_subject": test_subject,
        "preset": program.PRESET.value,
        "finetune": _FINETUNE.value,
        "seed": program.SEED.value,
    }
    tracker = build(steps)

    examples = list(videos("train", test_subject).as_numpy_iterator())

    def batches(start):
        parts = random_parts(
            examples, num_frames=last_frames, start=start, seed=program.SEED.value
        )
        return parts.batch(BATCH_SIZE).enumerate(start // BATCH_SIZE).map(shortened)

    def shortened(step, example):
        length = first_frames + step // 160
        cut = {name: example[name][:, :length] for name in PER_FRAME}
        return labelled(example | cut)

    test = videos("test", test_subject).padded_batch(BATCH_SIZE)
    validation = videos("validation", test_subject).padded_batch(BATCH_SIZE)
    validation = validation.map(labelled).cache()
    best = model_dir / "best.weights.h5"
    best_iou = None
    if best.exists():  # of the epochs before an interruption
        tracker.load_weights(best)
        measured = tracker.evaluate(validation, return_dict=True, verbose=0)
        best_iou = measured["corner_boxes_iou"]
    watched = {"monitor": "val_corner_boxes_iou", "mode": "max", "verbose": 1}
    ratm_tf.train(
        tracker,
        batches,
        model_dir=model_dir,
        run=run,
        steps=steps,
        batch_size=BATCH_SIZE,
        shown={name: values[:4] for name, values in next(iter(test)).items()},
        validation_data=validation,
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                best,
                save_best_only=True,
                save_weights_only=True,
                initial_value_threshold=best_iou,
                **watched,
            ),
            keras.callbacks.EarlyStopping(
                patience=patience, baseline=best_iou, **watched
            ),
        ],
    )
    steps = int(tracker.optimizer.iterations)
    tracker.load_weights(best)
    tracker.save(model_dir / "model.keras")
    print(f"Testing on {len(test):,} batches of whole sequences")
    metrics = ratm_tf.evaluate(tracker, test, [None])
    return run | {"steps": steps} | metrics


def labelled(example):
    """What `Tracker.fit` takes, with windows larger than the boxes."""
    return ratm_tf.labelled(example, box_scale=BOX_SCALE)


def videos(split, test_subject):
    """Whole sequences of a split."""
    if _DATASET.value == "kth":
        return kth(
            split,
            data_dir=_KTH_DIR.value,
            test_subject=test_subject,
            seed=program.SEED.value,
            skip_bad=_SKIP_BAD.value,
        )
    counts = PEOPLE_SEQUENCES | {"test": program.TEST_SEQUENCES.value}
    examples = people(
        "test" if split == "test" else "train",
        num_frames=PEOPLE_FRAMES,
        num_sequences=counts[split],
        start=PEOPLE_SEQUENCES["train"] if split == "validation" else 0,
        seed=program.SEED.value,
        pennfudan_path=_PENNFUDAN_PATH.value,
    )
    # Boxes are a detector's, as KTH's are.
    return examples.map(
        lambda example: {
            "frames": example["frames"],
            "boxes": example["detected_boxes"],
            "initial_box": example["initial_box"],
            "mask": example["mask"],
        }
    )


if __name__ == "__main__":
    app.run(main)
