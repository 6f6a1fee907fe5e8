"""The digit classifier of the MNIST experiments (section 6.2 of the paper)."""

import keras

from ratm_tf.features.grey_conv2d import GreyConv2D


def mnist_cnn() -> keras.Model:
    """Builds the classifier that tells which digit a glimpse shows.

    Two times convolution (32 filters of 5x5, valid), 2x2 max pooling, dropout
    of 0.25 and ReLU; then a softmax over the ten classes. Inputs are float
    [B, 28, 28, 1], 0 for the background and 1 for full ink; outputs are class
    probabilities, float32 [B, 10].

    As part of a tracker's objective it is frozen, and gradients flow through
    it to the glimpses: set `trainable = False` and call it with
    `training=False`.

    Returns:
        A functional `keras.Model`, not compiled, with fresh weights.

    Example:
    >>> import keras
    >>> from ratm_tf.features import mnist_cnn
    >>> glimpses = keras.random.uniform([2, 28, 28, 1])
    >>> mnist_cnn()(glimpses, training=False).shape
    TensorShape([2, 10])
    """
    images = keras.Input([28, 28, 1], name="images")
    x = images
    for convolution in (GreyConv2D, keras.layers.Conv2D):
        x = convolution(32, 5)(x)
        x = keras.layers.MaxPooling2D(2)(x)
        x = keras.layers.Dropout(0.25)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(x)
    classes = keras.layers.Dense(
        10, activation="softmax", dtype="float32", name="classes"
    )(x)
    return keras.Model(images, classes, name="mnist_cnn")
