"""The program `ratm-tf plot`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import plot

if __name__ == "__main__":
    program.run_module(plot)
