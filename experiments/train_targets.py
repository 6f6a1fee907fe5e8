"""The program `ratm-tf train targets`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import train_targets

if __name__ == "__main__":
    program.run_module(train_targets)
