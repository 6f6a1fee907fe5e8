"""The models of `benchmark_tracker.py` in JAX."""

import functools
import time

import numpy as np

STD, MIN_SIGMA = 0.01, 0.25
UNROLLED = (1, 4, 10)  # Of these `lax.scan` takes the quickest.


def build(model):
    """Weights, and a function of weights, a state and a frame: one step."""
    import jax
    import jax.numpy as jnp

    rows, columns = model.glimpse_size
    span = model.size - 1
    rng = np.random.default_rng(0)

    def normal(*shape):
        return jnp.asarray(STD * rng.standard_normal(shape), jnp.float32)

    weights = {
        "w_in": normal(rows * columns, model.units),
        "w_rec": jnp.eye(model.units),
        "bias": jnp.zeros(model.units),
        "window": normal(model.units, 6),
        "window_bias": jnp.asarray([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
    }

    def bank(center, sigma, stride, size):
        mu = center[:, None] + (jnp.arange(size) - (size - 1) / 2) * stride[:, None]
        distance = jnp.arange(model.size) - mu[..., None]
        return jax.nn.softmax(-0.5 * (distance / sigma[:, None, None]) ** 2)

    def step(weights, hidden, frame):
        raw = hidden @ weights["window"] + weights["window_bias"]
        center = span * (raw[:, :2] + 1) / 2
        sigma = jnp.maximum(jnp.abs(raw[:, 2:4]), MIN_SIGMA)
        stride = span / (columns - 1) * jnp.abs(raw[:, 4:])
        bank_x = bank(center[:, 0], sigma[:, 0], stride[:, 0], columns)
        bank_y = bank(center[:, 1], sigma[:, 1], stride[:, 1], rows)
        frame = frame.astype(jnp.float32)
        glimpse = bank_y @ frame @ bank_x.transpose(0, 2, 1) / 255.0
        seen = glimpse.reshape(-1, rows * columns) @ weights["w_in"]
        hidden = jax.nn.relu(seen + hidden @ weights["w_rec"] + weights["bias"])
        return hidden, (raw, glimpse)

    return weights, step


def track(step, units, unroll, weights, frames):
    """Raw windows `[T, B, 6]` and glimpses `[T, B, N, M]` of frames `[B, T, H, W]`."""
    import jax
    import jax.numpy as jnp

    hidden = jnp.zeros([frames.shape[0], units])
    step = functools.partial(step, weights)
    return jax.lax.scan(step, hidden, frames.swapaxes(0, 1), unroll=unroll)[1]


def classifier():
    """The digit classifier, with fixed weights, of glimpses `[B, N, M]`."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(1)
    shapes = (5, 5, 1, 32), (5, 5, 32, 32), (512, 10)
    first, second, last = (
        jnp.asarray(0.05 * rng.standard_normal(shape), jnp.float32) for shape in shapes
    )

    def block(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=layout
        )
        pool = (1, 2, 2, 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, pool, pool, "VALID")
        return jax.nn.relu(x)

    def classify(glimpses):
        x = block(block(glimpses[..., None], first), second)
        return jax.nn.softmax(x.reshape(-1, 512) @ last)

    return classify


def quickest(make):
    """The quickest of the calls that unroll a loop more or less."""
    seconds = {}
    for call in map(make, UNROLLED):
        call()
        seconds[call] = []
        for _ in range(3):
            started = time.perf_counter()
            call()
            seconds[call].append(time.perf_counter() - started)
    return min(seconds, key=lambda call: min(seconds[call]))


def training(model, data, count):
    """A call of `count` training steps: forward, backward, SGD update."""
    import jax
    import jax.numpy as jnp

    weights, step = build(model)
    classify = classifier()
    frames, boxes, patches, classes = map(jnp.asarray, data)
    frames, patches = frames[..., 0], patches[..., 0].swapaxes(0, 1)
    targets = ((boxes[..., :2] + boxes[..., 2:]) / (model.size - 1) - 1).swapaxes(0, 1)
    classes = classes.swapaxes(0, 1)

    def make(unroll):
        def loss_of(weights, frames):
            windows, glimpses = track(step, model.units, unroll, weights, frames)
            if not model.classifies:
                return ((glimpses - patches) ** 2).mean()
            seen = glimpses.reshape(-1, *model.glimpse_size)
            probabilities = classify(seen).reshape(classes.shape)
            return ((windows[..., :2] - targets) ** 2).mean() + (
                (probabilities - classes) ** 2
            ).mean()

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def update(weights, momenta, frames):
            gradients = jax.grad(loss_of)(weights, frames)
            leaves = jax.tree.leaves(gradients)
            norm = jnp.sqrt(sum((leaf**2).sum() for leaf in leaves))
            rate = 1e-3 / jnp.maximum(norm, 1.0)
            momenta = jax.tree.map(lambda m, g: 0.9 * m - rate * g, momenta, gradients)
            return jax.tree.map(jnp.add, weights, momenta), momenta

        state = [
            jax.tree.map(jnp.array, weights),
            jax.tree.map(jnp.zeros_like, weights),
        ]

        def call():
            for _ in range(count):
                state[:] = update(*state, frames)
            jax.block_until_ready(state)

        return call

    return quickest(make)


def prediction(model, data, count):
    """A call that tracks through a batch, `count` times."""
    import jax

    (weights, step), frames = build(model), data[0][..., 0]

    def make(unroll):
        run = jax.jit(functools.partial(track, step, model.units, unroll))

        def call():
            for _ in range(count):
                _ = [np.asarray(part) for part in run(weights, frames)]

        return call

    return quickest(make)


def stream(model, data, count):
    """A call that tracks frame by frame through all sequences, `count` times."""
    import jax
    import jax.numpy as jnp

    (weights, step), step_frames = build(model), data[0][..., 0]
    frames = step_frames.reshape(-1, 1, model.size, model.size)
    step = jax.jit(step)

    def call():
        for _ in range(count):
            hidden = jnp.zeros([1, model.units])
            for frame in frames:
                hidden, (window, _) = step(weights, hidden, frame)
                np.asarray(window)

    return call
