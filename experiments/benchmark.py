r"""Times the Gaussian glimpse against its peers, with the error beside every time.

Prints a table of medians over interleaved repeats, in microseconds per glimpse call and
as ratios to the fused op, for each number of threads in a process of its own. Peers are
the package's plain TensorFlow form, the same compiled by XLA, and equivalent JAX and
PyTorch programs; those that are not installed are left out by name. Asked for by name,
`eager` is the package's glimpse outside of any graph, and `op` the fused op itself so:
what they differ by is Python.

python experiments/benchmark.py --cases=B,E --quantities=f,fw
python experiments/benchmark.py --cases=B1 --quantities=f --peers=fused,eager,op
"""

import dataclasses
import functools
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

PEERS = ("fused", "tf", "xla", "jax", "torch")
QUANTITIES = {
    "f": "forward",
    "fw": "forward and window gradient",
    "fwi": "forward, window and image gradient",
}
CHAIN = 16  # Glimpses in a chain, each placed by the one before, as in an RNN.


@dataclasses.dataclass(frozen=True)
class Case:
    """A workload: images, and how their windows are drawn."""

    what: str
    images: tuple
    glimpse_size: tuple
    center_x: tuple
    center_y: tuple
    sigma: tuple
    stride: tuple
    windows: int = 1
    dtype: str = "float32"
    settings: tuple = ("single", "chained")

    def draw(self):
        """Images in 0..1 (or 0..255) and their windows `[B, K, 6]`."""
        rng = np.random.default_rng(0)
        images = rng.random(self.images, np.float32)
        if self.dtype == "uint8":
            images = (images * 255).astype(np.uint8)
        ranges = [self.center_x, self.center_y, *[self.sigma] * 2, *[self.stride] * 2]
        size = [self.images[0], self.windows]
        window = np.stack([rng.uniform(*bounds, size) for bounds in ranges], axis=-1)
        return images, window.astype(np.float32)


_HD, _4K = (1, 1080, 1920, 3), (1, 2160, 3840, 3)
_BIG = {"sigma": (2.5, 2.5), "stride": (5, 5)}
_SMALL = {"sigma": (1, 1), "stride": (2, 2)}
_WIDE = {"sigma": (1, 1), "stride": (39, 39)}
_ALONE = {"settings": ("single",)}
_MIDDLE_HD = {"center_x": (959.5, 959.5), "center_y": (539.5, 539.5)}
_MIDDLE_4K = {"center_x": (1919.5, 1919.5), "center_y": (1079.5, 1079.5)}
_CROWD = Case(
    "crowd", _HD, (28, 28), (0, 1919), (0, 1079), (1, 2), (2, 4), windows=32, **_ALONE
)
CASES = {
    "A": Case("balls", (16, 20, 20, 1), (5, 5), (6, 14), (6, 14), (1, 2), (2.5, 4)),
    "B": Case(
        "MNIST", (32, 100, 100, 1), (28, 28), (35, 65), (35, 65), (0.75, 1.5), (1.5, 3)
    ),
    "C": Case("KTH", (16, 120, 160, 1), (28, 28), (60, 100), (45, 75), (1, 2), (2, 4)),
    "D": Case("HD", _HD, (64, 64), **_MIDDLE_HD, **_BIG, **_ALONE),
    "E": Case("4K", _4K, (28, 28), **_MIDDLE_4K, **_SMALL, **_ALONE),
    "F": _CROWD,
    "F1": dataclasses.replace(_CROWD, what="one of the crowd", windows=1),
    "D8": Case(
        "HD, uint8", _HD, (64, 64), **_MIDDLE_HD, **_BIG, **_ALONE, dtype="uint8"
    ),
    "E8": Case(
        "4K, uint8", _4K, (28, 28), **_MIDDLE_4K, **_SMALL, **_ALONE, dtype="uint8"
    ),
    # The same window on a small and on a large frame.
    "B1": Case(
        "one digit", (1, 100, 100, 1), (28, 28), (49.5, 49.5), (49.5, 49.5), **_SMALL
    ),
    "B4K": Case("one digit, 4K", (1, 2160, 3840, 1), (28, 28), **_MIDDLE_4K, **_SMALL),
    # Windows that span a frame, and see little of it.
    "W": Case("search", _HD, (28, 28), **_MIDDLE_HD, **_WIDE, **_ALONE),
    "W8": Case(
        "search, uint8", _HD, (28, 28), **_MIDDLE_HD, **_WIDE, **_ALONE, dtype="uint8"
    ),
    "W8x8": Case(
        "eight searches, uint8",
        *(_HD, (28, 28)),
        **(_MIDDLE_HD | _WIDE | _ALONE),
        windows=8,
        dtype="uint8",
    ),
    "K": dataclasses.replace(_CROWD, what="crowd of 256", windows=256),
}

_CASES = flags.DEFINE_list("cases", list(CASES), f"Which of {', '.join(CASES)}.")
_QUANTITIES = flags.DEFINE_list(
    "quantities", list(QUANTITIES), f"Which of {QUANTITIES}."
)
_PEERS = flags.DEFINE_list(
    "peers", list(PEERS), f"Which of {', '.join(PEERS)}, eager, op."
)
_THREADS = flags.DEFINE_list("threads", ["1", "2"], "Numbers of CPU threads.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Interleaved repeats.", lower_bound=1)
_JSON = flags.DEFINE_boolean("json", False, "Print one JSON object instead.")
_WORKER = flags.DEFINE_boolean(
    "worker", False, "Measure in this process and print JSON lines (internal)."
)


def tensorflow_peer(case, quantity, chained, implementation, xla=False, eager=False):
    """The package's glimpse in a traced `tf.function`, or outside of any.

    An `implementation` of `"op"` is the fused op itself.
    """
    import tensorflow as tf

    import ratm_tf
    from ratm_tf.attention import library

    images, window = (tf.constant(array) for array in case.draw())
    length = CHAIN if chained else 1

    def glimpse_of(images, window):
        if implementation != "op":
            return ratm_tf.gaussian_glimpse(
                images, window, case.glimpse_size, implementation
            )
        return library.load().ratm_gaussian_glimpse(
            images=images,
            window=window,
            glimpse_height=case.glimpse_size[0],
            glimpse_width=case.glimpse_size[1],
            Tout=tf.float32,
        )

    def read(images, window):
        if length == 1:
            return [glimpse_of(images, window)]
        glimpses = []
        for _ in range(length):
            glimpse = glimpse_of(images, window)
            window += 1e-6 * tf.reduce_mean(glimpse, [2, 3, 4])[..., tf.newaxis]
            glimpses.append(glimpse)
        return glimpses

    def run(images, window):
        if quantity == "f":
            return read(images, window)
        sources = [window] if quantity == "fw" else [window, images]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            glimpses = read(images, window)
            loss = sum(tf.reduce_sum(glimpse * glimpse) for glimpse in glimpses)
        return glimpses, tape.gradient(loss, sources)

    if eager:
        return lambda: run(images, window)
    # To find the trace for its arguments takes a tf.function longer than a small case.
    # On a CPU it returns when its outputs are there.
    run = tf.function(run, jit_compile=xla)
    traced = run.get_concrete_function(images, window)
    return lambda: traced(images, window)


def jax_peer(case, quantity, chained):
    """The same computation in JAX, jitted."""
    import jax
    import jax.numpy as jnp

    images, window = (jnp.asarray(array) for array in case.draw())
    length = CHAIN if chained else 1
    rows, columns = case.glimpse_size

    def bank(center, sigma, stride, size, extent):
        offsets = jnp.arange(size) - (size - 1) / 2
        mu = center[..., None] + offsets * stride[..., None]
        distance = jnp.arange(extent) - mu[..., None]
        return jax.nn.softmax(-0.5 * (distance / sigma[..., None, None]) ** 2)

    def read(images, window):
        glimpses = []
        for _ in range(length):
            w = jnp.moveaxis(window, -1, 0)
            bank_y = bank(w[1], w[3], w[5], rows, images.shape[1])
            bank_x = bank(w[0], w[2], w[4], columns, images.shape[2])
            lines = jnp.einsum("bknh,bhwc->bknwc", bank_y, images.astype(jnp.float32))
            glimpse = jnp.einsum("bknwc,bkmw->bknmc", lines, bank_x)
            window += 1e-6 * glimpse.mean([2, 3, 4])[..., None]
            glimpses.append(glimpse)
        return glimpses

    def loss(window, images):
        glimpses = read(images, window)
        return sum((glimpse**2).sum() for glimpse in glimpses), glimpses

    if quantity == "f":
        run = jax.jit(read)
        return lambda: jax.block_until_ready(run(images, window))
    sources = (0,) if quantity == "fw" else (0, 1)
    gradient = jax.jit(jax.grad(loss, sources, has_aux=True))
    return lambda: jax.block_until_ready(gradient(window, images)[::-1])


def torch_peer(case, quantity, chained):
    """The same computation in PyTorch, by `torch.compile`."""
    import torch

    images, window = (torch.from_numpy(array) for array in case.draw())
    length = CHAIN if chained else 1
    rows, columns = case.glimpse_size

    def bank(center, sigma, stride, size, extent):
        offsets = torch.arange(size) - (size - 1) / 2
        mu = center[..., None] + offsets * stride[..., None]
        distance = torch.arange(extent) - mu[..., None]
        return torch.softmax(-0.5 * (distance / sigma[..., None, None]) ** 2, -1)

    @functools.partial(torch.compile, dynamic=False)
    def read(images, window):
        glimpses = []
        for _ in range(length):
            w = window.unbind(-1)
            bank_y = bank(w[1], w[3], w[5], rows, images.shape[1])
            bank_x = bank(w[0], w[2], w[4], columns, images.shape[2])
            lines = torch.einsum("bknh,bhwc->bknwc", bank_y, images.float())
            glimpse = torch.einsum("bknwc,bkmw->bknmc", lines, bank_x)
            window = window + 1e-6 * glimpse.mean([2, 3, 4])[..., None]
            glimpses.append(glimpse)
        return glimpses

    def call():
        if quantity == "f":
            with torch.no_grad():
                return read(images, window)
        sources = [window.detach().requires_grad_()]
        if quantity == "fwi":
            sources.append(images.detach().requires_grad_())
        glimpses = read(sources[-1] if quantity == "fwi" else images, sources[0])
        loss = sum((glimpse**2).sum() for glimpse in glimpses)
        gradients = torch.autograd.grad(loss, sources)
        return [glimpse.detach() for glimpse in glimpses], gradients

    return call


MAKERS = {
    "fused": lambda *what: tensorflow_peer(*what, "fused"),
    "tf": lambda *what: tensorflow_peer(*what, "tf"),
    "xla": lambda *what: tensorflow_peer(*what, "tf", xla=True),
    "jax": jax_peer,
    "torch": torch_peer,
    "eager": lambda *what: tensorflow_peer(*what, "fused", eager=True),
    "op": lambda *what: tensorflow_peer(*what, "op", eager=True),
}


def error(outputs, case, quantity):
    """The error of the first glimpse, or of the window's gradient if it is asked for.

    It is relative to the largest value of the reference, the plain TensorFlow form in
    float64, which the tests hold against NumPy.
    """
    import tensorflow as tf

    import ratm_tf

    images, window = (tf.constant(array, tf.float64) for array in case.draw())
    with tf.GradientTape() as tape:
        tape.watch(window)
        glimpse = ratm_tf.gaussian_glimpse(images, window, case.glimpse_size, "tf")
        loss = tf.reduce_sum(glimpse**2)
    if quantity == "f":
        actual, expected = outputs[0], glimpse.numpy()
    else:
        actual, expected = outputs[1][0], tape.gradient(loss, window).numpy()
    difference = np.asarray(actual, np.float64) - expected
    return float(abs(difference).max() / abs(expected).max())


def seconds_per_call(call, at_least=0.02):
    """Seconds of one call, from as many as fill a moment."""
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < at_least:
        call()
        calls += 1
    return (time.perf_counter() - started) / calls


def measure(name, setting, quantity, peers):
    """One row for each peer: the median time of a glimpse and its error."""
    case, chained = CASES[name], setting == "chained"
    calls = {peer: MAKERS[peer](case, quantity, chained) for peer in peers}
    # A chain's gradient is its own: its error is that of a single call.
    errors = {
        peer: error(MAKERS[peer](case, quantity, False)(), case, quantity)
        for peer in peers
    }
    samples = {peer: [] for peer in peers}
    for _ in range(_REPEATS.value):
        for peer, call in calls.items():
            samples[peer].append(seconds_per_call(call))
    glimpses = CHAIN if chained else 1
    for peer in peers:
        yield {
            "case": name,
            "setting": setting,
            "quantity": quantity,
            "peer": peer,
            "microseconds": 1e6 * statistics.median(samples[peer]) / glimpses,
            "error": errors[peer],
        }


def worker():
    """Measures everything with the threads this process was given."""
    for name in _CASES.value:
        for setting in CASES[name].settings:
            for quantity in _QUANTITIES.value:
                if quantity == "fwi" and CASES[name].dtype == "uint8":
                    continue
                for row in measure(name, setting, quantity, _PEERS.value):
                    print(json.dumps(row), flush=True)


def run_workers(peers):
    """Runs a process for each number of threads; yields its rows as they come."""
    for threads in _THREADS.value:
        cpus = sorted(os.sched_getaffinity(0))[: int(threads)]
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "JAX_PLATFORMS": "cpu",
        }
        command = [
            sys.executable,
            __file__,
            "--worker",
            f"--cases={','.join(_CASES.value)}",
            f"--quantities={','.join(_QUANTITIES.value)}",
            f"--peers={','.join(peers)}",
            f"--repeats={_REPEATS.value}",
        ]
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda cpus=cpus: os.sched_setaffinity(0, cpus),
        )
        for line in process.stdout:
            if line.startswith("{"):
                yield {"threads": int(threads)} | json.loads(line)
        if process.wait():
            raise RuntimeError(f"The measuring process ended with {process.returncode}")


def machine():
    """The processor and the versions that were measured."""
    name = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as info:
            names = [line for line in info if line.startswith("model name")]
        name = names[0].split(":")[1].strip() if names else name
    return f"{name}, {os.cpu_count()} CPUs"


def print_table(rows, peers):
    """Prints a line for each measurement: times, ratios to the first peer, errors.

    Errors are those of the glimpse where it alone is asked for, else of the window's
    gradient, relative to the largest value of a float64 reference.
    """
    columns = ["threads", "case", "setting", "quantity"]
    print("| " + " | ".join([*columns, *peers]) + " |")
    print("|" + "---|" * (len(columns) + len(peers)))
    line = {}
    for row in rows:
        line[row["peer"]] = row
        if len(line) < len(peers):
            continue
        base = line[peers[0]]["microseconds"]
        cells = [str(row[column]) for column in columns]
        for peer in peers:
            micros = line[peer]["microseconds"]
            cell = f"{micros:,.0f} us" if peer == peers[0] else f"{micros / base:.1f}x"
            cells.append(f"{cell} ({line[peer]['error']:.0e})")
        print("| " + " | ".join(cells) + " |", flush=True)
        line = {}


def main(_):
    """Measures in processes of their own and prints what they report."""
    if _WORKER.value:
        worker()
        return
    peers = []
    for peer in _PEERS.value:
        module = {"jax": "jax", "torch": "torch"}.get(peer, "tensorflow")
        if importlib.util.find_spec(module):
            peers.append(peer)
        else:
            print(f"{peer}: not installed, left out", file=sys.stderr)
    rows = run_workers(peers)
    if _JSON.value:
        print(json.dumps({"machine": machine(), "rows": list(rows)}))
    else:
        print(f"{machine()}; times of one glimpse call\n")
        print_table(rows, peers)


if __name__ == "__main__":
    app.run(main)
