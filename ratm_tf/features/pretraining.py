"""Trains the classifiers of the paper: what a tracker's features come from."""

import pathlib

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
from ratm_tf.training.train import train_model
from ratm_tf.training.workers import from_chief


def pretrain_mnist_cnn(
    model_dir, *, epochs, patience, seed=0, digits=load_digits, strategy=None
):
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
        strategy: see `run_recipe`.

    Returns:
        Dict of `validation_accuracy` and `test_accuracy`, 0..1.
    """
    strategy = strategy or tf.distribute.get_strategy()
    keras.utils.set_random_seed(seed)

    def prepared(split):
        images, labels = digits(split)
        return images[..., np.newaxis] / np.float32(255), labels

    images, labels = prepared("train")
    # The last 10,000 of all 60,000, and as large a part of a smaller set.
    num_train = len(images) * 5 // 6
    validation = images[num_train:], labels[num_train:]
    with strategy.scope():
        model = mnist_cnn()
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=5.0),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    pretrain(
        model,
        images[:num_train],
        labels[:num_train],
        batch_size=128,
        model_dir=model_dir,
        epochs=epochs,
        patience=patience,
        validation_data=validation,
        seed=seed,
        run={"classifier": "mnist_cnn", "seed": seed, "digits": len(images)},
    )

    def measured():
        best = keras.saving.load_model(pathlib.Path(model_dir) / "model.keras")
        return {
            "validation_accuracy": _accuracy(best, *validation),
            "test_accuracy": _accuracy(best, *prepared("test")),
        }

    return from_chief(strategy, measured)


def pretrain_human_cnn(
    model_dir,
    people_dir,
    *,
    preset,
    epochs,
    patience,
    seed=0,
    batch_size=64,
    strategy=None,
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
        strategy: see `run_recipe`.

    Returns:
        Dict of the accuracy and the area under the receiver operating characteristic,
        0..1, of the splits: `validation_accuracy`, `validation_auc` and so on.
    """
    strategy = strategy or tf.distribute.get_strategy()
    keras.utils.set_random_seed(seed)
    patches, labels = load_people_patches("train", people_dir, seed)
    splits = {}
    for split in ("validation", "test"):
        some_patches, some_labels = load_people_patches(split, people_dir, seed)
        splits[split] = crop_people(some_patches), some_labels
    with strategy.scope():
        model = human_cnn()
        if preset == "paper":
            optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0)
        else:
            optimizer = keras.optimizers.Adam(5e-4)
        model.compile(
            optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
    pretrain(
        model,
        crop_people(patches) if preset == "paper" else patches[..., None],
        labels,
        batch_size=batch_size,
        model_dir=model_dir,
        epochs=epochs,
        patience=patience,
        validation_data=splits["validation"],
        seed=seed,
        vary=None if preset == "paper" else _varied,
        run={"classifier": "human_cnn", "seed": seed, "preset": preset},
    )

    def measured():
        best = keras.saving.load_model(pathlib.Path(model_dir) / "model.keras")
        metrics = {}
        for split, (images, labels) in splits.items():
            metrics[f"{split}_accuracy"] = _accuracy(best, images, labels)
            metrics[f"{split}_auc"] = _auc(best, images, labels)
        return metrics

    return from_chief(strategy, measured)


def pretrain(
    model,
    x,
    y,
    *,
    batch_size,
    model_dir,
    epochs,
    patience,
    validation_data,
    seed=0,
    vary=None,
    run=None,
):
    """Trains a classifier and keeps its best weights.

    Writes the model with the best validation accuracy to `model_dir/model.keras`,
    without its optimizer and in half precision; called again after an interruption,
    goes on from the last finished epoch, on the examples that come next. The strategy
    in whose `scope()` the model was made trains it, as `ratm_tf.train` says.

    Args:
        model: a built `keras.Model`, compiled with the metric "accuracy".
        x: array of inputs.
        y: array of integer labels.
        batch_size: examples a step.
        model_dir: output folder, made if need be.
        epochs: at most so many, of as many whole batches as there are.
        patience: epochs without a better validation accuracy before training stops.
        validation_data: pair of arrays, inputs and integer labels.
        seed: integer, of the examples' order, which is another each time that all have
            been seen.
        vary: optional function of an input, its label and a `[2]` seed of its own, for
            TensorFlow's stateless functions, that returns what to learn from.
        run: dict of JSON values that tell one run from another, such as the seed.

    Raises:
        ValueError: if `model_dir` holds another run, or a batch cannot be split among
            the workers.
        RuntimeError: if another process trains in `model_dir`, or a worker is gone.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> model = keras.Sequential(
    ...     [keras.Input([3]), keras.layers.Dense(2, activation="softmax")]
    ... )
    >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> data = np.zeros([4, 3], np.float32), np.array([0, 1, 1, 1])
    >>> pretrain(
    ...     model, *data, batch_size=2, model_dir=folder, epochs=1, patience=1,
    ...     validation_data=data,
    ... )
    Model: ...
    >>> best = keras.saving.load_model(folder / "model.keras")
    >>> best.predict(data[0], verbose=0).shape
    (4, 2)
    """
    count, size = len(y), batch_size
    inputs, labels = tf.constant(x), tf.constant(y)

    def example(index):
        epoch, place = index // count, index % count
        order = tf.random.experimental.index_shuffle(
            place, tf.stack([seed, epoch]), count - 1
        )
        found = inputs[order], labels[order]
        return found if vary is None else vary(*found, tf.stack([seed, index]))

    def examples(start, step=1, batch_size=size):
        indices = tf.data.Dataset.counter(start, step)
        return indices.map(example, tf.data.AUTOTUNE).batch(batch_size).prefetch(2)

    def end():
        uncompiled = type(model).from_config(model.get_config())
        uncompiled.set_weights(model.get_weights())
        save_compact(uncompiled, pathlib.Path(model_dir) / "model.keras")

    steps_per_epoch = max(count // batch_size, 1)
    train_model(
        model,
        examples,
        model_dir=model_dir,
        run=run or {},
        steps=epochs * steps_per_epoch,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        validation_data=tf.data.Dataset.from_tensor_slices(validation_data).batch(
            batch_size
        ),
        monitor="val_accuracy",
        patience=patience,
        end=end,
    )


def _varied(patch, label, seed):
    """Crops a patch at random, and changes its light and direction."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    margin = tf.random.stateless_uniform([], seeds[0], 6, 21, tf.int32)
    rows, columns = 128 - 2 * margin, 64 - margin
    patch = tf.image.stateless_random_crop(
        patch[margin - 4 : margin + rows + 4, margin // 2 - 2 : 66 - margin // 2],
        [rows, columns, 1],
        seeds[1],
    )
    image = tf.image.resize(patch, (28, 28), antialias=True) / 255
    image = tf.image.stateless_random_flip_left_right(image, seeds[2])
    light = tf.random.stateless_uniform([2], seeds[3], [0.5, -0.15], [1.2, 0.15])
    return tf.clip_by_value(image * light[0] + light[1], 0, 1), label


def _accuracy(model, images, labels):
    probabilities = model.predict(images, verbose=0)
    return float(np.mean(probabilities.argmax(axis=-1) == labels))


def _auc(model, images, labels):
    metric = keras.metrics.AUC(num_thresholds=10_000)
    metric.update_state(labels, model.predict(images, verbose=0)[:, 1])
    return float(metric.result())
