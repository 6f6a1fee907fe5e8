"""Trains the classifiers of the paper: what a tracker's features come from."""

import keras
import numpy as np
import tensorflow as tf

from ratm_tf.datasets.sources.mnist import load_digits
from ratm_tf.datasets.sources.people_patches import (
    crop_people,
    load_people_patches,
)
from ratm_tf.features.digits import mnist_cnn
from ratm_tf.features.people import human_cnn
from ratm_tf.pretrained.compact import save_compact
from ratm_tf.training.checkpoints import Checkpoints
from ratm_tf.training.run_folder import run_folder


def pretrain_mnist_cnn(model_dir, *, epochs, patience, seed=0, digits=load_digits):
    """Trains the classifier of digits, by section 6.2.

    SGD with 128 digits a step, a learning rate of 0.01, momentum 0.9 and gradients
    clipped to a norm of 5.

    Args:
        model_dir: output folder, see `pretrain`.
        epochs: at most so many.
        patience: epochs without a better validation accuracy before training stops.
        seed: integer, of weights, order and dropout.
        digits: function of a split, `"train"` or `"test"`, that returns its images,
            uint8 `[n, 28, 28]`, and labels `[n]`.

    Returns:
        Dict of `validation_accuracy` and `test_accuracy`, 0..1.
    """
    keras.utils.set_random_seed(seed)

    def prepared(split):
        images, labels = digits(split)
        return images[..., np.newaxis] / np.float32(255), labels

    images, labels = prepared("train")
    # The last 10,000 of all 60,000, and as large a part of a smaller set.
    num_train = len(images) * 5 // 6
    validation = images[num_train:], labels[num_train:]
    model = mnist_cnn()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=5.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model = pretrain(
        model,
        images[:num_train],
        labels[:num_train],
        batch_size=128,
        model_dir=model_dir,
        epochs=epochs,
        patience=patience,
        validation_data=validation,
        run={"classifier": "mnist_cnn", "seed": seed, "digits": len(images)},
    )
    return {
        "validation_accuracy": _accuracy(model, *validation),
        "test_accuracy": _accuracy(model, *prepared("test")),
    }


def pretrain_human_cnn(
    model_dir, people_dir, *, preset, epochs, patience, seed=0, batch_size=64
):
    """Trains the classifier of people, as section 6.3 or better.

    Args:
        model_dir: output folder, see `pretrain`.
        people_dir: folder of `positive` and `negative` patches of 64x128 pixels.
        preset: `"paper"`, SGD with a learning rate of 0.01, momentum 0.9 and gradients
            clipped to a norm of 1, on tight crops; or `"fast"`, Adam on crops that
            differ in place, size, light and direction, as a tracker sees people.
        epochs: at most so many.
        patience: epochs without a better validation accuracy before training stops.
        seed: integer, of weights, splits and order.
        batch_size: patches a step.

    Returns:
        Dict of the accuracy and the area under the receiver operating characteristic,
        0..1, of the splits: `validation_accuracy`, `validation_auc` and so on.
    """
    keras.utils.set_random_seed(seed)
    patches, labels = load_people_patches("train", people_dir, seed)
    splits = {}
    for split in ("validation", "test"):
        some_patches, some_labels = load_people_patches(split, people_dir, seed)
        splits[split] = crop_people(some_patches), some_labels

    if preset == "paper":
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0)
        crops = crop_people(patches)
        train = tf.data.Dataset.from_tensor_slices((crops, labels))
        train = train.shuffle(len(labels), seed)
    else:
        optimizer = keras.optimizers.Adam(5e-4)
        train = tf.data.Dataset.from_tensor_slices((patches[..., None], labels))
        train = train.shuffle(len(labels), seed).map(_varied)
    model = human_cnn()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model = pretrain(
        model,
        train.batch(batch_size).prefetch(2),
        model_dir=model_dir,
        epochs=epochs,
        patience=patience,
        validation_data=splits["validation"],
        run={"classifier": "human_cnn", "seed": seed, "preset": preset},
    )
    metrics = {}
    for split, (images, labels) in splits.items():
        metrics[f"{split}_accuracy"] = _accuracy(model, images, labels)
        metrics[f"{split}_auc"] = _auc(model, images, labels)
    return metrics


def pretrain(
    model,
    x,
    y=None,
    *,
    model_dir,
    epochs,
    patience,
    validation_data,
    batch_size=None,
    run=None,
    verbose="auto",
):
    """Trains a classifier and keeps its best weights.

    Writes the model with the best validation accuracy to `model_dir/model.keras`,
    without its optimizer and in half precision; called again after an interruption,
    goes on from the last finished epoch.

    Args:
        model: a built `keras.Model`, compiled with the metric "accuracy".
        x: inputs or a data set of pairs, as in `Model.fit`.
        y: labels, if `x` is an array.
        model_dir: output folder, made if need be.
        epochs: at most so many.
        patience: epochs without a better validation accuracy before training stops.
        validation_data: pair of arrays, inputs and integer labels.
        batch_size: if `x` is an array.
        run: dict of JSON values that tell one run from another, such as the seed.
        verbose: as in `Model.fit`.

    Returns:
        The best model as `model.keras` has it, uncompiled.

    Raises:
        ValueError: if `model_dir` holds another run.
        RuntimeError: if another process trains in `model_dir`.

    Example:
    >>> import tempfile
    >>> model = keras.Sequential(
    ...     [keras.Input([3]), keras.layers.Dense(2, activation="softmax")]
    ... )
    >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> data = np.zeros([4, 3], np.float32), np.array([0, 1, 1, 1])
    >>> best = pretrain(
    ...     model, *data, model_dir=tempfile.mkdtemp(), epochs=1, patience=1,
    ...     validation_data=data, verbose=0,
    ... )
    >>> best.predict(data[0], verbose=0).shape
    (4, 2)
    """
    with run_folder(model_dir, run or {}) as folder:
        checkpoints = Checkpoints(
            folder / "checkpoints", monitor="val_accuracy", patience=patience
        )
        checkpoints.restore(model)
        model.fit(
            x,
            y,
            batch_size=batch_size,
            initial_epoch=checkpoints.epoch,
            epochs=checkpoints.epoch if checkpoints.finished else epochs,
            validation_data=validation_data,
            verbose=verbose,
            callbacks=[checkpoints],
        )
        checkpoints.restore_best(model)
        uncompiled = type(model).from_config(model.get_config())
        uncompiled.set_weights(model.get_weights())
        save_compact(uncompiled, folder / "model.keras")
        return keras.saving.load_model(folder / "model.keras")


def _varied(patch, label):
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


def _accuracy(model, images, labels):
    probabilities = model.predict(images, verbose=0)
    return float(np.mean(probabilities.argmax(axis=-1) == labels))


def _auc(model, images, labels):
    metric = keras.metrics.AUC(num_thresholds=10_000)
    metric.update_state(labels, model.predict(images, verbose=0)[:, 1])
    return float(metric.result())
