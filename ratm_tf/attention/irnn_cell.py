"""The paper's recurrent network: rectified units that start out remembering."""

import keras
import tensorflow as tf

from ratm_tf.types import Shape, TensorLike


@keras.saving.register_keras_serializable(package="ratm_tf")
class IRNNCell(keras.layers.Layer):
    """An RNN cell of rectified units, `W_rec` starting as scaled identity (Eq. 1-3).

        h_t = relu(W_in x_t + W_rec h_{t-1} + bias)

    `keras.layers.SimpleRNNCell` has this equation too, but adds its terms in an order
    that TensorFlow's graph optimiser fails on, on CPUs with oneDNN: then it leaves the
    whole training step as it found it, at half the speed.

    Args:
        units: number of hidden units.
        scale: `W_rec` starts as this multiple of the identity. At 1 the first hidden
            states are remembered for ever, below it they fade.
        kernel_regularizer: regulariser of `W_in`.
        use_bias: whether there is a bias; the paper's Eq. 1 has none.

    Call arguments:
        inputs: floating `[B, features]`, `x_t`.
        states: list of one floating `[B, units]`, `h_{t-1}`, zeros at first.

    Returns:
        `(h_t, [h_t])`, in the cell's compute dtype.

    Example:
    >>> rnn = keras.layers.RNN(ratm_tf.IRNNCell(64, scale=0.9))
    >>> rnn(tf.zeros([2, 5, 25])).shape
    TensorShape([2, 64])
    """

    def __init__(
        self,
        units: int,
        scale: float = 1.0,
        kernel_regularizer: keras.regularizers.Regularizer | str | None = None,
        use_bias: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if units != int(units) or units < 1:
            raise ValueError(
                f"Expected `units` to be a positive integer. Received: {units!r}"
            )
        self.state_size = self.output_size = int(units)
        self.scale = scale
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.use_bias = use_bias

    def build(self, inputs_shape: Shape) -> None:
        units = self.state_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(inputs_shape[-1], units),
            initializer=keras.initializers.RandomNormal(stddev=0.01),
            regularizer=self.kernel_regularizer,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(units, units),
            initializer=keras.initializers.Identity(self.scale),
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(units,), initializer="zeros"
            )

    def call(
        self, inputs: TensorLike, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        inputs, hidden = tf.convert_to_tensor(inputs), tf.convert_to_tensor(states[0])
        total = tf.matmul(inputs, self.kernel) + tf.matmul(
            hidden, self.recurrent_kernel
        )
        hidden = tf.nn.relu(total + self.bias if self.use_bias else total)
        return hidden, [hidden]

    def get_initial_state(self, batch_size: int | None = None) -> list[tf.Tensor]:
        return [tf.zeros([batch_size, self.state_size], self.compute_dtype)]

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "units": self.state_size,
            "scale": self.scale,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "use_bias": self.use_bias,
        }
