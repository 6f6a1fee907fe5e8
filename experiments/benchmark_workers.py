"""Measures what a training step costs by one process, and by several on loopback.

python experiments/benchmark_workers.py 1 2

Prints a row of Markdown for each number of processes, every one on one thread of
TensorFlow's: sequences/s, and seconds of the processors' per step, of all of them
together, which other work on the machine changes less.
"""

import json
import os
import socket
import subprocess
import sys
import time

_STEPS = 40
_BATCH = 32


def work(count):
    """Trains, by Keras's `fit` if alone; prints JSON: seconds of the clock and CPU."""
    import keras
    import tensorflow as tf

    from ratm_tf import recipes
    from ratm_tf.training import make_strategy, workers

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    strategy = make_strategy("multi_worker" if count > 1 else "none")
    with strategy.scope():
        experiment = recipes.moving_mnist(sample=True).build()
    tracker = experiment.tracker
    workers.prepare(strategy, tracker)
    seen = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append((time.perf_counter(), time.process_time()))

    options = {
        "steps_per_epoch": _STEPS,
        "initial_epoch": 0,
        "epochs": 3,  # the first one traces
        "callbacks": [Clock()],
    }
    if count > 1:
        workers.fit(
            tracker, experiment.sequences, start=0, batch_size=_BATCH, **options
        )
    else:
        tracker.fit(experiment.sequences(0), **options)
    (clock, cpu), (clock_then, cpu_then) = seen[2], seen[1]
    print("\n" + json.dumps([clock - clock_then, cpu - cpu_then]))


def measure(count):
    """Runs so many processes; returns the clock's seconds, and the CPU's of all."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    cluster = {"worker": [f"localhost:{s.getsockname()[1]}" for s in sockets]}
    for each in sockets:
        each.close()
    processes = []
    for index in range(count):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, __file__, "work", str(count)],
                env=os.environ | {"TF_CONFIG": json.dumps(task)},
                stdout=subprocess.PIPE,
            )
        )
    results = [
        json.loads(process.communicate()[0].splitlines()[-1]) for process in processes
    ]
    clocks, cpus = zip(*results, strict=True)
    return max(clocks), sum(cpus)


def main(counts):
    """Prints the table."""
    print("| processes | sequences/s | CPU seconds a step |")
    print("|---|---|---|")
    for count in counts:
        clock, cpu = measure(count)
        rate = _STEPS * _BATCH / clock
        print(f"| {count} | {rate:.0f} | {cpu / _STEPS:.3f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(int(sys.argv[2]))
    else:
        main([int(argument) for argument in sys.argv[1:]])
