"""What the programs that train classifiers have in common."""

from absl import flags

from ratm_tf.cli import run

flags.adopt_module_key_flags(run)
EPOCHS = flags.DEFINE_integer("epochs", 100, "Most epochs to train.", lower_bound=1)
PATIENCE = flags.DEFINE_integer(
    "patience", 10, "Epochs without a better validation accuracy before stopping."
)
