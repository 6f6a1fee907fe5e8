"""Programs in processes of their own, without the seconds that imports take.

Each is forked from a process that has imported TensorFlow and Keras, and used neither.
"""

import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from concurrent import futures

import tensorflow as tf

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["cv2", "tensorflow_datasets", "ratm_tf.training.run"])


def run(path, *arguments, **environment):
    """Runs a file of Python with arguments, and more variables of the environment.

    It runs in the folder that is the current one.

    Returns:
        A `subprocess.CompletedProcess` with the text of both streams.
    """
    arguments = [str(path), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        streams = [pathlib.Path(folder, name) for name in ("stdout", "stderr")]
        process = CONTEXT.Process(
            target=_main,
            args=(arguments, streams, os.getcwd(), os.environ | environment),
        )
        process.start()
        process.join()
        texts = [stream.read_text() for stream in streams]
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def run_code(code, *arguments, **environment):
    """Runs code as `run` does a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "program.py")
        path.write_text(code)
        return run(path, *arguments, **environment)


def run_bash(block):
    """Runs commands of bash that are `program FILE FLAGS`, each as `run` does."""
    print_arguments = "program() { printf '%s\\0' \"$@\" ''; }\n"
    output = subprocess.check_output(
        ["bash", "-euo", "pipefail", "-c", print_arguments + block]
    )
    for arguments in output.decode().split("\0\0")[:-1]:
        result = run(*arguments.split("\0"))
        assert result.returncode == 0, result.stderr


def call_on_two_devices(function, *arguments):
    """Calls a function of a module in a process that has two devices of the CPU.

    Returns:
        What the function returned for the arguments, and then a `tf.distribute`
        strategy of these two.
    """
    with futures.ProcessPoolExecutor(1, CONTEXT) as pool:
        return pool.submit(_on_two_devices, function, arguments).result()


def _on_two_devices(function, arguments):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return function(*arguments, strategy)


def _main(arguments, streams, folder, environment):
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name="__main__")
