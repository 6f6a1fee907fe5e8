r"""Writes a trained tracker for a server, or for a small device.

ratm-tf export --model=pretrained:moving_mnist --output=serving/digits

writes a SavedModel, serving/digits/1, and 2 the next time, with the signatures that
`ratm_tf.export` describes, and the files that configure a server.

ratm-tf export --model=pretrained:moving_mnist --format=litert --output=digits.tflite
ratm-tf export --model=pretrained:moving_mnist --format=onnx --output=digits

write one file for LiteRT, and `start.onnx`, `step.onnx` and `track.onnx` in a folder.
"""

from absl import flags

from ratm_tf.cli import tracker

flags.adopt_module_key_flags(tracker)
flags.mark_flag_as_required("model")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The model's folder, whose name is the served one; of LiteRT the file.",
    required=True,
)
_FORMAT = flags.DEFINE_enum(
    "format", "saved_model", ["saved_model", "litert", "onnx"], "What to write."
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "float16", "int8"],
    "How LiteRT and ONNX files keep weights, int8 in LiteRT alone.",
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
    """Prints the folder, or the file, that it wrote."""
    _check()
    import ratm_tf

    loaded = tracker.load_tracker()
    if _FORMAT.value == "litert":
        written = ratm_tf.export.export_litert(loaded, _OUTPUT.value, _PRECISION.value)
    elif _FORMAT.value == "onnx":
        written = ratm_tf.export.export_onnx(loaded, _OUTPUT.value, _PRECISION.value)
    else:
        from ratm_tf.export.configuration import write_configuration

        written = ratm_tf.export_saved_model(
            loaded, _OUTPUT.value, _OPS.value, _VERSION.value, _DTYPE.value
        )
        write_configuration(_OUTPUT.value)
    print(written)


def _check():
    """Refuses flags that say nothing of the format."""
    of_saved_models = (_OPS, _VERSION, _DTYPE)
    others = (_PRECISION,) if _FORMAT.value == "saved_model" else of_saved_models
    for flag in others:
        if flag.present:
            raise ValueError(
                f"Expected no --{flag.name} with --format={_FORMAT.value}. Received: "
                f"{flag.value}"
            )
