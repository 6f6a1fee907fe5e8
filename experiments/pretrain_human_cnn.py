"""The program `ratm-tf train human_cnn`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import pretrain_human_cnn

if __name__ == "__main__":
    program.run_module(pretrain_human_cnn)
