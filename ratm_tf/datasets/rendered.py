"""Sequences that NumPy renders, as a `tf.data` pipeline."""

import tensorflow as tf


def rendered(indices, render, spec, batch_size=None):
    """Renders sequences by their numbers, several at a time.

    Args:
        indices: `tf.data.Dataset` of int64 scalars.
        render: function of such a number that returns a dict of arrays.
        spec: dict of `tf.TensorSpec`, what of it is kept.
        batch_size: optional number of sequences per element.

    Returns:
        A `tf.data.Dataset` of dicts of tensors, in the order of `indices`.

    Example:
    >>> from ratm_tf.datasets.rendered import rendered
    >>> spec = {"x": tf.TensorSpec([2], tf.float32)}
    >>> twice = lambda index: {"x": np.full(2, index, np.float32)}
    >>> next(iter(rendered(tf.data.Dataset.range(3), twice, spec, 3)))["x"].shape
    TensorShape([3, 2])
    """

    def arrays(index):
        example = render(index)
        return [example[name] for name in spec]

    def sequence(index):
        values = tf.numpy_function(
            arrays, [index], [of.dtype for of in spec.values()], stateful=False
        )
        return {
            name: tf.ensure_shape(value, of.shape)
            for value, (name, of) in zip(values, spec.items(), strict=True)
        }

    dataset = indices.map(sequence, num_parallel_calls=tf.data.AUTOTUNE)
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)
