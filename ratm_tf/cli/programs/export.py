r"""Writes a trained tracker as a SavedModel, for TensorFlow Serving.

ratm-tf export --model=pretrained:moving_mnist --output=serving/digits

writes serving/digits/1, and 2 the next time, with the signatures that `ratm_tf.export`
describes, and the files that configure a server.
"""

from absl import flags

from ratm_tf.cli import tracker

flags.adopt_module_key_flags(tracker)
flags.mark_flag_as_required("model")
_OUTPUT = flags.DEFINE_string(
    "output", None, "The model's folder; its name is the served one.", required=True
)
_OPS = flags.DEFINE_enum(
    "ops",
    "tf",
    ["tf", "fused"],
    "TensorFlow's own ops, which any server runs, or with the fused op, for servers "
    "that link it.",
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the version (default: the next).", lower_bound=1
)
_DTYPE = flags.DEFINE_enum(
    "dtype", "uint8", ["uint8", "float32"], "Frames in 0..255, or in 0..1."
)


def main(_):
    """Prints the folder it wrote."""
    import ratm_tf
    from ratm_tf.export.configuration import write_configuration

    folder = ratm_tf.export_saved_model(
        tracker.load_tracker(),
        _OUTPUT.value,
        _OPS.value,
        _VERSION.value,
        _DTYPE.value,
    )
    write_configuration(_OUTPUT.value)
    print(folder)
