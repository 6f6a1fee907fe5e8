"""The program `ratm-tf train kth`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import train_kth

if __name__ == "__main__":
    program.run_module(train_kth)
