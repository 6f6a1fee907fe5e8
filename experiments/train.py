"""The program `ratm-tf train`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import train

if __name__ == "__main__":
    program.run_module(train)
