r"""Times training steps and streamed frames of whole trackers against PyTorch.

Two models of the paper, a training step each (forward, backward, SGD update): bouncing
balls (16 sequences of 32 frames of 20x20, IRNN of 64 units, 5x5 glimpses, pixels in the
objective) and MNIST (32 sequences of 10 frames of 100x100, IRNN of 100 units, 28x28
glimpses, box centres and the digit classifier in the objective). Then frames per second
of `OnlineTracker` with the shipped tracker, and several targets in frames of 720x1280,
by one `OnlineTracker` or one for each. Each is measured in a process of its own, where
no other framework's threads or memory disturb it; prints medians of repeats taken in
turn.

python experiments/benchmark_tracker.py
"""

import functools
import importlib.util
import json
import multiprocessing
import statistics
import time

import numpy as np
from absl import app, flags

_REPEATS = flags.DEFINE_integer("repeats", 15, "Interleaved repeats.", lower_bound=1)

STEPS = 10  # Between two measurements.


class Balls:
    """The model of the bouncing balls."""

    batch, frames, size = 16, 32, 20
    units, glimpse_size = 64, (5, 5)
    steps_per_execution = STEPS


class Mnist:
    """The model of one digit."""

    batch, frames, size = 32, 10, 100
    units, glimpse_size = 100, (28, 28)
    # In the loop of several steps TensorFlow may miss oneDNN's gradient of max pooling.
    steps_per_execution = 1


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


def keras_steps(model, implementation):
    """Training steps of the package's tracker."""
    import keras
    import tensorflow as tf

    import ratm_tf

    objectives, losses = {}, {"glimpses": ratm_tf.objectives.PixelLoss()}
    if model is Mnist:
        classifier = ratm_tf.load_pretrained("mnist_cnn")
        classifier.trainable = False
        objectives = {"class_probabilities": classifier}
        losses = {
            "boxes": ratm_tf.objectives.LocalizationLoss((100, 100)),
            "class_probabilities": keras.losses.MeanSquaredError(),
        }
    cell = ratm_tf.RATMCell(
        model.units, model.glimpse_size, implementation=implementation
    )
    tracker = ratm_tf.Tracker(cell, objectives)
    tracker.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9, global_clipnorm=1.0),
        loss=losses,
        jit_compile=False,
        steps_per_execution=model.steps_per_execution,
    )
    frames, boxes, patches, classes = draw(model)
    labels = {"boxes": boxes, "glimpses": patches, "class_probabilities": classes}
    data = tf.data.Dataset.from_tensors(({"frames": frames}, labels)).repeat()
    iterator = iter(data)
    tracker.make_train_function()

    def steps():
        for _ in range(STEPS // model.steps_per_execution):
            tracker.train_function(iterator)

    return steps


def torch_steps(model, compiled):
    """Training steps of the same model in PyTorch."""
    import torch
    from torch import nn

    rows, columns = model.glimpse_size
    span = model.size - 1

    def bank(center, sigma, stride, size):
        mu = center[:, None] + (torch.arange(size) - (size - 1) / 2) * stride[:, None]
        distance = torch.arange(model.size) - mu[..., None]
        return torch.softmax(-0.5 * (distance / sigma[:, None, None]) ** 2, -1)

    class Tracker(nn.Module):
        def __init__(self):
            super().__init__()
            self.w_in = nn.Linear(rows * columns, model.units)
            self.w_rec = nn.Linear(model.units, model.units, bias=False)
            nn.init.eye_(self.w_rec.weight)
            nn.init.normal_(self.w_in.weight, std=0.01)
            self.window = nn.Linear(model.units, 6)
            nn.init.normal_(self.window.weight, std=0.01)
            self.window.bias.data = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
            if model is Mnist:
                block = [nn.MaxPool2d(2), nn.ReLU()]
                self.classifier = nn.Sequential(
                    *[nn.Conv2d(1, 32, 5), *block, nn.Conv2d(32, 32, 5), *block],
                    *[nn.Flatten(), nn.Linear(512, 10), nn.Softmax(-1)],
                ).requires_grad_(False)

        def forward(self, frames):
            hidden = torch.zeros(frames.shape[0], model.units)
            centers, glimpses = [], []
            for frame in frames.unbind(1):
                raw = self.window(hidden)
                center = span * (raw[:, :2] + 1) / 2
                sigma = raw[:, 2:4].abs().clamp(min=0.25)
                stride = span / (columns - 1) * raw[:, 4:].abs()
                bank_x = bank(center[:, 0], sigma[:, 0], stride[:, 0], columns)
                bank_y = bank(center[:, 1], sigma[:, 1], stride[:, 1], rows)
                glimpse = bank_y @ frame.float() @ bank_x.transpose(1, 2) / 255.0
                hidden = torch.relu(self.w_in(glimpse.flatten(1)) + self.w_rec(hidden))
                centers.append(raw[:, :2])
                glimpses.append(glimpse)
            return torch.stack(centers, 1), torch.stack(glimpses, 1)

    torch.manual_seed(0)
    tracker = Tracker()
    learnt = [weight for weight in tracker.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=1e-3, momentum=0.9)
    frames, boxes, patches, classes = map(torch.from_numpy, draw(model))
    frames, patches = frames[..., 0], patches[..., 0]
    targets = (boxes[..., :2] + boxes[..., 2:]) / span - 1

    def loss_of(frames):
        centers, glimpses = tracker(frames)
        if model is Balls:
            return ((glimpses - patches) ** 2).mean()
        seen = glimpses.reshape(-1, 1, rows, columns)
        probabilities = tracker.classifier(seen).reshape(classes.shape)
        return ((centers - targets) ** 2).mean() + (
            (probabilities - classes) ** 2
        ).mean()

    loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def steps():
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(frames).backward()
            nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()

    return steps


def streamed_frames():
    """Streams of the shipped tracker, one frame at a time."""
    import ratm_tf

    online = ratm_tf.OnlineTracker(ratm_tf.load_pretrained("moving_mnist"))
    frames = draw(Mnist)[0].reshape(-1, 100, 100, 1)
    online.init(frames[0])

    def stream():
        for frame in frames:
            online.update(frame)

    return stream


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
        started = time.perf_counter()
        call()
        connection.send(time.perf_counter() - started)


def measure(makers):
    """Median seconds of each call, in processes that take turns."""
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
    return {name: statistics.median(times) for name, times in samples.items()}


def main(_):
    """Prints one JSON object."""
    frames = Mnist.batch * Mnist.frames
    seconds = measure({"stream": streamed_frames})["stream"]
    report = {"streamed frames per second": round(frames / seconds)}
    for name in ("people", "targets"):
        seconds = measure(
            {
                f"{count} by {'one' if together else 'one each'}": functools.partial(
                    streamed_targets, name, count, together
                )
                for count, together in ((1, True), (4, True), (4, False), (16, True))
            }
        )
        report[f"several {name}, milliseconds a frame"] = {
            count: round(1e3 * value / STEPS, 2) for count, value in seconds.items()
        }
    for model in (Balls, Mnist):
        makers = {
            "fused": functools.partial(keras_steps, model, "auto"),
            "tf": functools.partial(keras_steps, model, "tf"),
        }
        if importlib.util.find_spec("torch"):
            makers["torch eager"] = functools.partial(torch_steps, model, False)
            makers["torch compile"] = functools.partial(torch_steps, model, True)
        seconds = measure(makers)
        report[model.__name__] = {
            name: {
                "milliseconds": round(1e3 * value / STEPS, 2),
                "ratio to fused": round(value / seconds["fused"], 2),
            }
            for name, value in seconds.items()
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    app.run(main)
