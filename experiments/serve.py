"""The program `ratm-tf serve`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import serve

if __name__ == "__main__":
    program.run_module(serve)
