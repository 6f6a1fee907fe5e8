"""The program `ratm-tf train bouncing_balls`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import train_bouncing_balls

if __name__ == "__main__":
    program.run_module(train_bouncing_balls)
