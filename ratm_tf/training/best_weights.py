"""Keeps the best weights of a training, across interruptions."""

import keras


def keep_best(model, path, *, monitor, patience, validation_data):
    """Makes the callbacks that keep the best weights and stop when they stay so.

    They are Keras's `ModelCheckpoint` and `EarlyStopping`, told how good the weights
    are that an interrupted training left at `path`.

    Args:
        model: the compiled and built `keras.Model` to train. It is left with the
            weights at `path`, if there are any; restore its own after.
        path: where to keep the best weights, a `pathlib.Path` that ends in
            `.weights.h5`.
        monitor: name of a validation metric, the greater the better, such as
            `"val_accuracy"`.
        patience: epochs without a better value before training stops.
        validation_data: as in `keras.Model.evaluate`, a data set or a pair of arrays.

    Returns:
        List of `keras.callbacks.Callback`.

    Example:
    >>> import pathlib, tempfile
    >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse", metrics=["accuracy"])
    >>> data = np.zeros([4, 3]), np.zeros([4, 1])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "best.weights.h5"
    >>> best = keep_best(
    ...     model, path, monitor="val_accuracy", patience=3, validation_data=data
    ... )
    >>> history = model.fit(
    ...     *data, validation_data=data, epochs=9, callbacks=best, verbose=0
    ... )
    >>> len(history.epoch), path.exists()
    (4, True)
    """
    best = None
    if path.exists():
        model.load_weights(path)
        inputs = (
            validation_data
            if isinstance(validation_data, tuple)
            else (validation_data,)
        )
        measured = model.evaluate(*inputs, return_dict=True, verbose=0)
        best = measured[monitor.removeprefix("val_")]
    watched = {"monitor": monitor, "mode": "max"}
    return [
        keras.callbacks.ModelCheckpoint(
            path,
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=best,
            **watched,
        ),
        keras.callbacks.EarlyStopping(patience=patience, baseline=best, **watched),
    ]
