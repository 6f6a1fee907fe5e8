"""The command `ratm-tf`: chooses a program by its first words."""

import ast
import importlib
import pathlib
import sys

import ratm_tf
from ratm_tf.cli import program, programs

PROGRAMS = {
    "demo": "demo",
    "track": "track",
    "train mnist": "train_mnist",
    "train bouncing_balls": "train_bouncing_balls",
    "train kth": "train_kth",
    "train targets": "train_targets",
    "train mnist_cnn": "pretrain_mnist_cnn",
    "train human_cnn": "pretrain_human_cnn",
    "train target_features": "pretrain_target_features",
    "train": "train",
    "fit_score": "fit_score",
    "evaluate": "evaluate",
    "plot": "plot",
    "export": "export",
    "serve": "serve",
    "client": "serve_client",
    "doctor": "doctor",
    "build": "build",
}
"""Modules of `ratm_tf.cli.programs` by the words that start them."""


def main():
    """Runs the program that the command line names, or lists them all."""
    arguments = sys.argv[1:]
    for count in (2, 1):
        words, rest = " ".join(arguments[:count]), arguments[count:]
        if words in PROGRAMS and not _names_another(words, rest):
            sys.argv = [f"ratm-tf {words}", *rest]
            module = f"{programs.__name__}.{PROGRAMS[words]}"
            return program.run_module(importlib.import_module(module))
    if arguments == ["--version"]:
        print(ratm_tf.__version__)
        return 0
    words = [word for word in arguments[:2] if word not in ("-h", "--help")]
    there = [each for each in PROGRAMS if each.split()[: len(words)] == words]
    if there:
        print("\n".join(usage(there)))
        return 0
    print(
        "Error: Expected one of the commands that `ratm-tf --help` lists. Received: "
        f"{' '.join(arguments[:2])}",
        file=sys.stderr,
    )
    return 1


def _names_another(words, rest):
    """Whether a command's further words ask for one that begins with it."""
    longer = any(name.startswith(f"{words} ") for name in PROGRAMS)
    return longer and (rest in ([], ["-h"]) or not rest[0].startswith("-"))


def usage(names):
    """Lists commands.

    Args:
        names: some keys of `PROGRAMS`.

    Returns:
        Lines of text.

    Example:
    >>> usage(["track"])[2].split("  ")
    ['', 'track', 'Tracks a video or a camera, frame by frame.']
    """
    width = max(map(len, names))
    described = (f"  {name:{width}}  {_first_line(PROGRAMS[name])}" for name in names)
    return [
        "ratm-tf COMMAND [FLAGS], where COMMAND is one of",
        "",
        *described,
        "",
        "and ratm-tf COMMAND --help lists its flags.",
    ]


def _first_line(module):
    """A program's first line of text, read without defining its flags."""
    path = pathlib.Path(programs.__file__).with_name(f"{module}.py")
    return ast.get_docstring(ast.parse(path.read_text())).partition("\n")[0]
