"""The program `ratm-tf evaluate`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import evaluate

if __name__ == "__main__":
    program.run_module(evaluate)
