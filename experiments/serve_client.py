"""The program `ratm-tf client`, which `--help` describes."""

from ratm_tf.cli import program
from ratm_tf.cli.programs import serve_client

if __name__ == "__main__":
    program.run_module(serve_client)
