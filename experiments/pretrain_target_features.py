"""The program `ratm-tf train target_features`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import pretrain_target_features

if __name__ == "__main__":
    program.run_module(pretrain_target_features)
