import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, sys, time
from ratm_tf.cli import program
def main(_):
    {body}
program.run(main)
"""


def run(body, *flags, **options):
    command = [sys.executable, "-c", PROGRAM.format(body=body), *flags]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('`x` is\\n  0')", "`x` is 0"),
        ("open('/nonexistent/file', 'w')", "No such file or directory"),
        ("raise OSError(28, 'No space left on device')", "No space left"),
        ("raise ArithmeticError('The loss is not finite')", "The loss is not finite"),
    ],
)
def test_what_goes_wrong_is_one_sentence(body, sentence):
    result = run(body)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ") and sentence in last
    assert "Traceback" not in result.stderr
    assert "Traceback" in run(body, "--traceback").stderr


def test_a_mistake_of_ours_shows_where_it_is():
    assert "Traceback" in run("None.nothing").stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signals_end_it_in_one_line(number, code):
    body = "print('ready', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs the tests in the background may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, printed = process.communicate(timeout=30)
    assert process.returncode == code
    assert len(printed.splitlines()) == 1


def test_a_reader_that_leaves_is_no_error():
    body = "[print('x' * 1000, flush=True) for _ in range(10_000)]"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()
    printed = process.stderr.read()
    assert process.wait(30) == 141 and printed == b""
