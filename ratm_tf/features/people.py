"""The person classifier of the KTH experiments (section 6.3 of the paper)."""

import keras

from ratm_tf.features.grey_conv2d import GreyConv2D
from ratm_tf.types import Path


def human_cnn() -> keras.Model:
    """Builds the classifier that tells whether a glimpse shows a person.

    Convolution (128 filters of 5x5, same), 2x2 max pooling and ReLU; convolution (64
    filters of 3x3, same), 2x2 max pooling and ReLU; 256 hidden units with ReLU; then a
    softmax over two classes, 1 is a person. Inputs are float [B, 28, 28, 1], grey in
    0..1; outputs are class probabilities, float32 [B, 2].

    In a tracker, `convolutional_features` describe the glimpse, and the objective
    compares `hidden_features`.

    Returns:
        A functional `keras.Model`, not compiled, with fresh weights.

    Example:
    >>> glimpses = keras.random.uniform([2, 28, 28, 1])
    >>> ratm_tf.features.human_cnn()(glimpses).shape
    TensorShape([2, 2])
    """
    images = keras.Input([28, 28, 1], name="images")
    x = images
    convolutions = (GreyConv2D, 128, 5), (keras.layers.Conv2D, 64, 3)
    for i, (convolution, filters, kernel_size) in enumerate(convolutions, start=1):
        x = convolution(filters, kernel_size, padding="same", name=f"convolution_{i}")(
            x
        )
        x = keras.layers.MaxPooling2D(2, name=f"pooling_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(256, activation="relu", name="hidden")(x)
    classes = keras.layers.Dense(
        2, activation="softmax", dtype="float32", name="classes"
    )(x)
    return keras.Model(images, classes, name="human_cnn")


def convolutional_features(model: keras.Model) -> keras.Model:
    """The part of a `human_cnn` up to the ReLU of the second convolution.

    Args:
        model: a `human_cnn`.

    Returns:
        A `keras.Model` from [B, 28, 28, 1] to [B, 7, 7, 64], for `RATMCell`, with a
        copy of the weights.

    Example:
    >>> features = ratm_tf.features.convolutional_features(ratm_tf.features.human_cnn())
    >>> cell = ratm_tf.RATMCell(units=32, features=features)
    """
    part = keras.Model(model.input, model.get_layer("relu_2").output)
    copy = keras.models.clone_model(part)
    copy.set_weights(part.get_weights())
    return copy


def hidden_features(
    model: keras.Model, features: keras.Model | None = None, feature_scale: float = 1.0
) -> keras.Model:
    """The part of a `human_cnn` up to its 256 hidden units.

    Args:
        model: a `human_cnn`.
        features: what a tracker's cell sees, `convolutional_features` times
            `feature_scale`. They are a part of the result, one network in two places.
            Default: a copy.
        feature_scale: by how much `features` are larger than those of `model`.

    Returns:
        A `keras.Model` from [B, 28, 28, 1] to [B, 256], for the objectives of a
        `Tracker`. Above `features` it has a copy of the weights.

    Example:
    >>> model = ratm_tf.features.human_cnn()
    >>> features = ratm_tf.features.convolutional_features(model)
    >>> hidden = ratm_tf.features.hidden_features(model, features)
    >>> hidden(tf.zeros([2, 28, 28, 1])).shape
    TensorShape([2, 256])
    """
    layer = model.get_layer("hidden")
    copy = layer.__class__.from_config(layer.get_config())
    glimpses = keras.Input([28, 28, 1], name="glimpses")
    x = (convolutional_features(model) if features is None else features)(glimpses)
    x = keras.layers.Rescaling(1.0 / feature_scale)(x)
    x = copy(keras.layers.Flatten()(x))
    copy.set_weights(layer.get_weights())
    return keras.Model(glimpses, x, name="hidden_features")


def import_theano_weights(path: Path) -> keras.Model:
    """Reads the weights that the paper's authors published, `ratm_human_convnet.h5`.

    Their network is the same in another layout:

    - inputs are 0..255, so that the first filters shrink by 255 here;
    - filters are [out, in, rows, columns] and turned by 180 degrees, because Theano
      convolves where Keras correlates;
    - the bias follows the pooling, which makes no difference to a maximum;
    - the hidden layer takes its inputs channels first, [64 * 7 * 7].

    Args:
        path: HDF5 file with the arrays `conv0_W`, `bias0_b`, `conv1_W`, `bias1_b`,
            `fc2_W`, `fc2_b`, `fc3_W` and `fc3_b`.

    Returns:
        A `human_cnn` with these weights.

    Raises:
        FileNotFoundError: If there is no file at `path`.
        ValueError: If it lacks an array, has one of another shape, or refers to one in
            another file.
    """
    import h5py

    model = human_cnn()
    expected = {
        "conv0_W": (128, 1, 5, 5),
        "bias0_b": (128,),
        "conv1_W": (64, 128, 3, 3),
        "bias1_b": (64,),
        "fc2_W": (64 * 7 * 7, 256),
        "fc2_b": (256,),
        "fc3_W": (256, 2),
        "fc3_b": (2,),
    }
    with h5py.File(path) as file:
        for name, shape in expected.items():
            link = file.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink) or (
                link is not None and file[name].external
            ):
                raise ValueError(
                    f"Expected `{name}` to be in {path}. Received: a reference to "
                    "another file"
                )
            found = file[name].shape if name in file else "nothing"
            if found != shape:
                raise ValueError(
                    f"Expected `{name}` in {path} to have the shape {shape}. "
                    f"Received: {found}"
                )
        weights = {name: file[name][:] for name in expected}
    for name in ("conv0_W", "conv1_W"):
        weights[name] = weights[name][:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
    weights["conv0_W"] *= 255
    by_channel = weights["fc2_W"].reshape(64, 7, 7, 256)
    weights["fc2_W"] = by_channel.transpose(1, 2, 0, 3).reshape(-1, 256)
    model.set_weights(list(weights.values()))
    return model
