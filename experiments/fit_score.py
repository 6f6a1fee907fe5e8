"""The program `ratm-tf fit_score`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import fit_score

if __name__ == "__main__":
    program.run_module(fit_score)
