import contextlib
import dataclasses
import json
import os
import pathlib
import random
import socket
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf import recipes
from ratm_tf.datasets import bouncing_balls_sequences
from ratm_tf.training import make_strategy, run_all_subjects
from ratm_tf.training import run as run_module
from ratm_tf.training.workers import fit, is_chief
from tests import programs


def shown(split="train", start=0, **part):
    """Balls, some of them without a box, so that workers have unlike many."""
    balls = bouncing_balls_sequences(split, num_frames=4, start=start, **part)
    first = start + 1, part.get("step", 1)

    def some(number, example):
        there = (first[0] + number * first[1]) % 3 > 0
        return example | {"boxes": example["boxes"] * tf.cast(there, tf.float32)}

    return balls.enumerate().map(some)


def sequences(start, step=1, batch_size=8):
    return shown(start=start, step=step).batch(batch_size).map(ratm_tf.labelled)


def train(folder, strategy=None, steps=4, **options):
    """Returns the weights, and the losses that were seen on the way."""
    strategy = strategy or make_strategy("none")
    keras.utils.set_random_seed(0)
    with strategy.scope():
        tracker = ratm_tf.Tracker(ratm_tf.RATMCell(6, (4, 4)))
        tracker.compile(
            # Nothing would be clipped of some workers' gradients alone.
            keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.1),
            loss={"corner_boxes": ratm_tf.objectives.RelativeBoxLoss()},
            weighted_metrics={"corner_boxes": ratm_tf.MeanIoU()},
        )
        tracker.build({"frames": (None, None, 20, 20, 1)})
    history = ratm_tf.train(
        tracker,
        sequences,
        model_dir=folder,
        run={"seed": 0},
        steps=steps,
        steps_per_epoch=2,
        batch_size=8,
        shown=next(iter(shown().batch(1))),
        # Of three batches, some workers have fewer than others.
        validation_data=shown(num_sequences=20).batch(8).map(ratm_tf.labelled),
        **options,
    )
    return tracker.get_weights(), history.history


def work(index, ports, folder, steps):
    """What each of several processes does."""
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
    os.environ |= {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": ""}
    strategy = make_strategy("multi_worker")
    weights, history = train(folder, strategy, steps)
    history["folds"] = folds(f"{folder}_folds", strategy)
    np.savez(f"{folder}.npz", *weights, history=json.dumps(history))


def folds(folder, strategy):
    """Leaves out each subject, of whom the chief has finished all but three."""
    trained = []

    def train_one(recipe, *, model_dir, seed, strategy):
        trained.append(recipe.test_subject)
        return {"corner_iou": 0.01 * recipe.test_subject}

    run_module.run_recipe = train_one
    recipe = recipes.people("kth")
    for subject in range(4, 26):
        one = dataclasses.replace(recipe, test_subject=subject)
        finished = pathlib.Path(folder, f"subject{subject:02d}", "metrics.json")
        if is_chief(strategy):
            finished.parent.mkdir(parents=True, exist_ok=True)
            metrics = {"recipe": one.as_dict(), "seed": 0, "corner_iou": 1.0}
            finished.write_text(json.dumps(metrics))
    metrics = run_all_subjects(recipe, model_dir=folder, strategy=strategy)
    return trained, metrics["corner_iou"]


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def start(*arguments):
    process = programs.CONTEXT.Process(target=work, args=arguments)
    process.start()
    return process


def work_together(folder, count, steps):
    """Trains by several processes; returns what each has in the end."""
    ports = free_ports(count)
    folders = [str(folder / f"worker_{index}") for index in range(count)]
    processes = [start(index, ports, folders[index], steps) for index in range(count)]
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * count
    return [results(folder) for folder in folders]


def results(folder):
    with np.load(f"{folder}.npz") as arrays:
        history, *weights = arrays.values()  # Names come first.
    return weights, json.loads(str(history))


def assert_same(ours, theirs):
    for mine, other in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    for name in ours[1].keys() - {"sequences_per_second", "folds"}:
        np.testing.assert_allclose(ours[1][name], theirs[1][name], rtol=1e-5)


def test_two_processes_learn_what_one_does(tmp_path):
    chief, other = work_together(tmp_path, 2, steps=4)
    one = train(tmp_path / "one")
    assert "val_loss" in chief[1] and len(one[1]["loss"]) == 2
    assert_same(chief, one)
    assert_same(other, one)
    trained, mean = chief[1].pop("folds")
    assert [trained, mean] == other[1].pop("folds")
    assert trained == [1, 2, 3] and mean == pytest.approx((22 + 0.06) / 25)
    # The chief alone writes, and what two began one ends.
    assert not list(tmp_path.glob("worker_1*/**/*.json"))
    assert (tmp_path / "worker_0_folds" / "metrics.json").exists()
    resumed, history = train(tmp_path / "worker_0", steps=6)
    whole, expected = train(tmp_path / "one_of_six", steps=6)
    expected = {name: values[2:] for name, values in expected.items()}
    assert_same((resumed, history), (whole, expected))


def test_two_devices_learn_what_one_does(tmp_path):
    several = programs.call_on_two_devices(train, tmp_path / "several")
    assert_same(several, train(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_workers_killed_at_any_moment_end_the_same(tmp_path, count):
    """Each is started again where it ends without success, the chief among them."""
    ports, steps = free_ports(count), 16
    folders = [str(tmp_path / f"worker_{index}") for index in range(count)]

    def begin(index):
        return start(index, ports, folders[index], steps)

    def tended(processes):
        time.sleep(0.5)
        return [
            begin(index) if process.exitcode not in (None, 0) else process
            for index, process in enumerate(processes)
        ]

    def epochs():
        written = pathlib.Path(folders[0], "checkpoints").glob("epoch_*")
        return max((int(path.name[6:]) for path in written), default=0)

    processes, begun = [begin(index) for index in range(count)], 0
    for killed in (0, random.randrange(1, count)):
        while epochs() <= begun and any(p.exitcode is None for p in processes):
            processes = tended(processes)
        begun = epochs()
        time.sleep(random.uniform(0, 1))
        processes[killed].kill()
    while any(process.exitcode != 0 for process in processes):
        processes = tended(processes)
    expected, _ = train(tmp_path / "one", steps=steps)
    for folder in folders:
        for ours, theirs in zip(results(folder)[0], expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_what_cannot_be_shared_out_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`strategy` to be one of .* Received: 'two'"):
        make_strategy("two")
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", 3)
    tracker = ratm_tf.Tracker(ratm_tf.RATMCell(6, (4, 4)))
    with pytest.raises(ValueError, match="multiple of the 3 replicas. Received: 8"):
        fit(
            tracker,
            sequences,
            start=0,
            batch_size=8,
            steps_per_epoch=1,
            initial_epoch=0,
            epochs=1,
        )
