r"""Times whole trackers: training, prediction and streams, against their peers.

Two models of the paper, a training step each (forward, backward, SGD update): bouncing
balls (16 sequences of 32 frames of 20x20, IRNN of 64 units, 5x5 glimpses, pixels in the
objective) and MNIST (32 sequences of 10 frames of 100x100, IRNN of 100 units, 28x28
glimpses, box centres and the digit classifier in the objective). Then the MNIST model's
`predict` of batches of 32 sequences of 30 frames, and its frames one by one, by
`OnlineTracker`. PyTorch and JAX (in `benchmark_tracker_*.py`) take part where they are
installed. Then several targets in frames of 720x1280, by one `OnlineTracker` or one for
each; and how many sequences a second a data set's pipeline makes, and a training step
takes, each alone.

Each is measured in a process of its own, where no other framework's threads or memory
disturb it; prints medians of repeats taken in turn: by the clock and, for who shares
a machine, the CPU time of all threads. Pipelines and their steps are told by CPU time:
the same cores do both.

python experiments/benchmark_tracker.py
python experiments/benchmark_tracker.py --parts=pipelines --cutouts_path=cutouts \
  --pennfudan_path=PennFudanPed
"""

import functools
import importlib
import importlib.util
import json
import multiprocessing
import time

import numpy as np
from absl import app, flags

PARTS = ("balls", "mnist", "predict", "stream", "targets", "pipelines")

_PARTS = flags.DEFINE_multi_enum("parts", list(PARTS), PARTS, "Which.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Interleaved repeats.", lower_bound=1)
_CUTOUTS_PATH = flags.DEFINE_string(
    "cutouts_path", None, "Folder of cut-outs, for their pipeline."
)
_PENNFUDAN_PATH = flags.DEFINE_string(
    "pennfudan_path", None, "The Penn-Fudan database, for the pipeline of people."
)

STEPS = 10  # Between two measurements.


class Balls:
    """The model of the bouncing balls."""

    batch, frames, size = 16, 32, 20
    units, glimpse_size = 64, (5, 5)
    classifies = False
    steps_per_execution = STEPS


class Mnist:
    """The model of one digit."""

    batch, frames, size = 32, 10, 100
    units, glimpse_size = 100, (28, 28)
    classifies = True
    # In the loop of several steps TensorFlow may miss oneDNN's gradient of max pooling.
    steps_per_execution = 1


class LongMnist(Mnist):
    """The model of one digit on sequences as they are tested."""

    frames = 30
    classifies = False


def draw(model):
    """Frames in 0..255, boxes, patches and classes."""
    rng = np.random.default_rng(0)
    shape = (model.batch, model.frames)
    frames = rng.integers(0, 256, [*shape, model.size, model.size, 1], np.uint8)
    corner = rng.uniform(0, model.size * 0.7, [*shape, 2])
    boxes = np.concatenate([corner, corner + 0.28 * model.size], -1).astype(np.float32)
    patches = rng.random([*shape, *model.glimpse_size, 1], np.float32)
    classes = np.eye(10, dtype=np.float32)[rng.integers(0, 10, shape)]
    return frames, boxes, patches, classes


def keras_tracker(model, implementation, objectives=None):
    """The package's tracker, with fresh weights."""
    import ratm_tf

    cell = ratm_tf.RATMCell(
        model.units, model.glimpse_size, implementation=implementation
    )
    tracker = ratm_tf.Tracker(cell, objectives)
    tracker.build({"frames": (None, None, model.size, model.size, 1)})
    return tracker


def keras_training(model, implementation):
    """Training steps of the package's tracker."""
    import keras
    import tensorflow as tf

    import ratm_tf

    objectives, losses = {}, {"glimpses": ratm_tf.objectives.PixelLoss()}
    if model.classifies:
        classifier = ratm_tf.load_pretrained("mnist_cnn")
        classifier.trainable = False
        objectives = {"class_probabilities": classifier}
        losses = {
            "boxes": ratm_tf.objectives.LocalizationLoss((100, 100)),
            "class_probabilities": keras.losses.MeanSquaredError(),
        }
    tracker = keras_tracker(model, implementation, objectives)
    tracker.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9, global_clipnorm=1.0),
        loss=losses,
        jit_compile=False,
        steps_per_execution=model.steps_per_execution,
    )
    frames, boxes, patches, classes = draw(model)
    labels = {"boxes": boxes, "glimpses": patches, "class_probabilities": classes}
    data = tf.data.Dataset.from_tensors(({"frames": frames}, labels)).repeat()
    return train_function(tracker, data, STEPS // model.steps_per_execution)


def train_function(tracker, data, count):
    """Runs the training function of a compiled tracker so many times."""
    iterator = iter(data)
    tracker.make_train_function()

    def call():
        for _ in range(count):
            tracker.train_function(iterator)

    return call


def keras_prediction(model, implementation):
    """`predict` of several batches."""
    tracker = keras_tracker(model, implementation)
    frames = np.tile(draw(model)[0], [STEPS, 1, 1, 1, 1])
    return lambda: tracker.predict(frames, batch_size=model.batch, verbose=0)


def keras_stream(model, implementation):
    """Streams of a tracker, one frame at a time."""
    import ratm_tf

    online = ratm_tf.OnlineTracker(keras_tracker(model, implementation))
    frames = draw(model)[0].reshape(-1, model.size, model.size, 1)
    online.init(frames[0])

    def call():
        for _ in range(STEPS):
            for frame in frames:
                online.update(frame)

    return call


def peer_call(framework, part, model, *arguments):
    """What `benchmark_tracker_{framework}.py` has of the part's name."""
    peer = importlib.import_module(f"benchmark_tracker_{framework}")
    return getattr(peer, part)(model, draw(model), *arguments)


def recipe_training(recipe):
    """Training steps of a recipe, on one batch."""
    experiment = recipe.build()
    data = experiment.sequences(0).take(1).cache().repeat()
    count = STEPS // experiment.tracker.steps_per_execution
    return train_function(experiment.tracker, data, count)


def recipe_pipeline(recipe):
    """The batches of so many training steps."""
    iterator = iter(recipe.build().sequences(0))

    def call():
        for _ in range(STEPS):
            next(iterator)

    return call


def streamed_targets(name, count, together):
    """A large frame, again and again, in which several targets are followed."""
    import ratm_tf

    tracker = ratm_tf.load_pretrained(name)
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, [720, 1280, tracker.channels], np.uint8)
    corners = rng.uniform(0, [1200, 600], [count, 2])
    boxes = np.concatenate([corners, np.full([count, 2], (40, 90))], axis=1)
    followers = []
    for given in [boxes] if together else boxes:
        followers.append(ratm_tf.OnlineTracker(tracker))
        followers[-1].init(frame, given)

    def stream():
        for _ in range(STEPS):
            for follower in followers:
                follower.update(frame)

    return stream


def worker(connection, maker):
    """Makes a call, then times it as often as it is asked to."""
    call = maker()
    call()
    call()
    connection.send(None)
    while connection.recv():
        started = np.array([time.perf_counter(), time.process_time()])
        call()
        connection.send([time.perf_counter(), time.process_time()] - started)


def measure(makers):
    """Median seconds of each call, and of its CPUs, in processes that take turns."""
    context = multiprocessing.get_context("spawn")
    connections, samples = {}, {name: [] for name in makers}
    for name, maker in makers.items():
        connections[name], theirs = context.Pipe()
        context.Process(target=worker, args=(theirs, maker), daemon=True).start()
        theirs.close()
        connections[name].recv()
    for _ in range(_REPEATS.value):
        for name, connection in connections.items():
            connection.send(True)
            samples[name].append(connection.recv())
    for connection in connections.values():
        connection.send(False)
    return {name: np.median(times, axis=0) for name, times in samples.items()}


def compared(part, model, count):
    """Milliseconds of one of `count` in a call, and ratios to the fused op."""
    ours = {
        "training": keras_training,
        "prediction": keras_prediction,
        "stream": keras_stream,
    }[part]
    makers = {
        "fused": functools.partial(ours, model, "auto"),
        "tf": functools.partial(ours, model, "tf"),
    }
    if importlib.util.find_spec("torch"):
        peer = functools.partial(peer_call, "torch", part, model, STEPS)
        makers["torch eager"] = functools.partial(peer, False)
        makers["torch compile"] = functools.partial(peer, True)
    if importlib.util.find_spec("jax"):
        makers["jax"] = functools.partial(peer_call, "jax", part, model, STEPS)
    seconds = measure(makers)
    return {
        name: {
            "milliseconds": list(np.round(1e3 * value / count, 3)),
            "ratio to fused": list(np.round(value / seconds["fused"], 2)),
        }
        for name, value in seconds.items()
    }


def several_targets():
    """Milliseconds a frame, by tracker."""
    report = {}
    for name in ("people", "targets"):
        seconds = measure(
            {
                f"{count} by {'one' if together else 'one each'}": functools.partial(
                    streamed_targets, name, count, together
                )
                for count, together in ((1, True), (4, True), (4, False), (16, True))
            }
        )
        report[name] = {
            count: round(1e3 * value[0] / STEPS, 2) for count, value in seconds.items()
        }
    return report


def pipelines():
    """Sequences a CPU second, made and trained on, of the recipes of made data."""
    from ratm_tf import recipes

    made = {
        "balls": recipes.bouncing_balls(preset="paper", steps_per_execution=STEPS),
        "mnist": recipes.moving_mnist(preset="paper", sample=True),
    }
    if _CUTOUTS_PATH.value:
        made["cutouts"] = recipes.targets(_CUTOUTS_PATH.value)
    if _PENNFUDAN_PATH.value:
        made["people"] = recipes.people(pennfudan_path=_PENNFUDAN_PATH.value)
    report = {}
    for name, recipe in made.items():
        seconds = measure(
            {
                "pipeline": functools.partial(recipe_pipeline, recipe),
                "step": functools.partial(recipe_training, recipe),
            }
        )
        report[name] = {
            part: round(STEPS * recipe.batch_size / value[1])
            for part, value in seconds.items()
        }
    return report


def main(_):
    """Prints one JSON object."""
    parts = {
        "balls": lambda: compared("training", Balls, STEPS),
        "mnist": lambda: compared("training", Mnist, STEPS),
        "predict": lambda: compared("prediction", LongMnist, STEPS),
        "stream": lambda: compared("stream", Mnist, STEPS * Mnist.batch * Mnist.frames),
        "targets": several_targets,
        "pipelines": pipelines,
    }
    print(json.dumps({part: parts[part]() for part in _PARTS.value}, indent=2))


if __name__ == "__main__":
    app.run(main)
