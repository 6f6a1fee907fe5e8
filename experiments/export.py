"""The program `ratm-tf export`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import export

if __name__ == "__main__":
    program.run_module(export)
