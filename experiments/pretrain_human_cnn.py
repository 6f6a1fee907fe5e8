r"""Trains the person classifier of the KTH experiments (section 6.3 of the paper).

On patches of 64x128 pixels with a person in the middle (`positive`) and without
(`negative`), such as those of the INRIA person data set. Writes the model with the best
validation accuracy to `MODEL_DIR/model.keras` and how well it does to
`MODEL_DIR/metrics.json`; started again after an interruption, it goes on from the last
finished epoch.

python experiments/pretrain_human_cnn.py --persons_path=persons --model_dir=/tmp/cnn
"""

import keras
import pretraining
import tensorflow as tf
from absl import app, flags

from ratm_tf.datasets.sources.people_patches import crop_people, load_people_patches
from ratm_tf.features import human_cnn

BATCH_SIZE = 64

flags.adopt_module_key_flags(pretraining)
_PERSONS_PATH = flags.DEFINE_string(
    "persons_path", None, "Folder of `positive` and `negative` patches.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset",
    "fast",
    ["fast", "paper"],
    "The recipe: 'fast' trains with Adam on crops that differ in place, size, light "
    "and direction, as a tracker sees people; 'paper' with SGD on tight crops.",
)


def main(_):
    """Trains, keeps the best model and reports how well it tells people."""
    seed = pretraining.SEED.value
    keras.utils.set_random_seed(seed)
    patches, labels = load_people_patches("train", _PERSONS_PATH.value, seed)
    splits = {}
    for split in ("validation", "test"):
        some_patches, some_labels = load_people_patches(
            split, _PERSONS_PATH.value, seed
        )
        splits[split] = crop_people(some_patches), some_labels

    if _PRESET.value == "paper":
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0)
        train = tf.data.Dataset.from_tensor_slices((crop_people(patches), labels))
        train = train.shuffle(len(labels), seed)
    else:
        optimizer = keras.optimizers.Adam(5e-4)
        train = tf.data.Dataset.from_tensor_slices((patches[..., None], labels))
        train = train.shuffle(len(labels), seed).map(vary)
    model = human_cnn()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model = pretraining.pretrain(
        model,
        train.batch(BATCH_SIZE).prefetch(2),
        validation_data=splits["validation"],
    )
    metrics = {"preset": _PRESET.value, "seed": seed}
    for split, (images, labels) in splits.items():
        metrics[f"{split}_accuracy"] = pretraining.accuracy(model, images, labels)
        metrics[f"{split}_auc"] = auc(model, images, labels)
    pretraining.report(metrics)


def vary(patch, label):
    """Crops a patch at random, and changes its light and direction."""
    margin = tf.random.uniform([], 6, 21, tf.int32)
    rows, columns = 128 - 2 * margin, 64 - margin
    patch = tf.image.random_crop(
        patch[margin - 4 : margin + rows + 4, margin // 2 - 2 : 66 - margin // 2],
        [rows, columns, 1],
    )
    image = tf.image.resize(patch, (28, 28), antialias=True) / 255
    image = tf.image.random_flip_left_right(image)
    light = tf.random.uniform([2], [0.5, -0.15], [1.2, 0.15])
    return tf.clip_by_value(image * light[0] + light[1], 0, 1), label


def auc(model, images, labels):
    """The area under the receiver operating characteristic."""
    metric = keras.metrics.AUC(num_thresholds=10_000)
    metric.update_state(labels, model.predict(images, verbose=0)[:, 1])
    return float(metric.result())


if __name__ == "__main__":
    app.run(main)
