"""The weight penalty of the paper's KTH experiment as a Keras regulariser."""

import keras


@keras.saving.register_keras_serializable(package="ratm_tf")
class WeightPenalty(keras.regularizers.Regularizer):
    """The mean of squared weights, times a factor (Eq. 18).

    For `kernel_regularizer` of `ratm_tf.RATMCell`. The authors' published code takes
    the mean over a matrix where `keras.regularizers.L2` takes the sum, which outweighs
    the objective: for the 100,000 weights of `W_in` it is as many times stronger.

    Args:
        factor: the weight of the penalty, 0.2 in section 6.3.

    Call arguments:
        weights: floating, of any shape.

    Returns:
        The penalty, a scalar.

    Example:
    >>> float(ratm_tf.objectives.WeightPenalty(0.2)(2.0 * tf.ones([5, 3])))
    0.800000011920929
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, weights):
        return self.factor * keras.ops.mean(keras.ops.square(weights))

    def get_config(self) -> dict[str, object]:
        return {"factor": self.factor}
