"""The program `ratm-tf track`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import track

if __name__ == "__main__":
    program.run_module(track)
