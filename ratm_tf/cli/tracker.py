"""The flags of the programs that use a trained tracker."""

import importlib
import re
import sys

from absl import flags

MODEL = flags.DEFINE_string("model", None, "A .keras file, or pretrained:NAME.")
_IMPORT = flags.DEFINE_list(
    "import",
    [],
    "Modules to import first, in this folder or on the path: those that register the "
    "classes of one's own that the model is made of.",
)


def load_tracker():
    """Loads the tracker that the flag names, built and not compiled.

    Raises:
        ValueError: if there is none of that name, or it is no tracker.
    """
    from ratm_tf.pretrained import load
    from ratm_tf.tracker import Tracker

    sys.path.insert(0, "")
    for module in _IMPORT.value:
        importlib.import_module(module)
    try:
        model = load(MODEL.value)
    except (OSError, TypeError, ValueError, KeyError) as error:
        unknown = re.search("Could not locate class '(\\w+)'", str(error))
        hint = ""
        if unknown:
            hint = f"; bring the class {unknown[1]} with --import=MODULE"
        raise ValueError(
            "Expected --model to be a .keras file or pretrained:NAME. Received: "
            f"{MODEL.value} ({_first_sentence(error)}{hint})"
        ) from error
    if not isinstance(model, Tracker):
        raise ValueError(
            f"Expected --model to be a tracker. Received: {MODEL.value}, which is a "
            f"{type(model).__name__}"
        )
    return model


def _first_sentence(error):
    return str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
