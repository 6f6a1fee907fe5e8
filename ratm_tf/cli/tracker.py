"""The flag of the programs that use a trained tracker."""

from absl import flags

MODEL = flags.DEFINE_string("model", None, "A .keras file, or pretrained:NAME.")


def load_tracker():
    """Loads the tracker that the flag names, built and not compiled."""
    import keras

    from ratm_tf.pretrained import load_pretrained

    kind, _, name = MODEL.value.partition(":")
    if kind == "pretrained":
        return load_pretrained(name)
    return keras.saving.load_model(MODEL.value, compile=False)
