r"""Times a tracker behind the embedded server against the same SavedModel in process.

Exports a tracker, serves it in a process of its own (`serve.py`), and calls `track` and
`track_encoded` (whole videos), `step` and `step_encoded` (a frame of each stream) with
arrays in and out. A client thread sends its next request when the last is answered.
Prints a Markdown table of medians of interleaved repeats: the milliseconds of a
request, the frames per second of all clients together, and how many times those in
process.

python experiments/benchmark_serving.py

Raw videos do not go over REST, where they are text: `track_encoded` is for that, and
`step_encoded` is for streams.
"""

import concurrent.futures
import contextlib
import gc
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags
from tensorflow_serving.apis.model_pb2 import ModelSpec

import ratm_tf
from ratm_tf import serving
from ratm_tf.attention import library
from ratm_tf.cli import tracker
from ratm_tf.opencv import cv2

SIGNATURES = ("track", "track_encoded", "step", "step_encoded")
PROTOCOLS = ("in process", "gRPC", "REST")

flags.adopt_module_key_flags(tracker)
flags.FLAGS.set_default("model", "pretrained:moving_mnist")
_OPS = flags.DEFINE_multi_enum("ops", ["tf", "fused"], ["tf", "fused"], "Flavours.")
_SIGNATURES = flags.DEFINE_multi_enum(
    "signatures", list(SIGNATURES), SIGNATURES, "What to call."
)
_BATCHES = flags.DEFINE_multi_integer("batches", [1, 8, 32], "Videos of a request.")
_CLIENTS = flags.DEFINE_multi_integer("clients", [1, 8], "Clients at a time.")
_FRAMES = flags.DEFINE_integer("frames", 30, "Frames of a video.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Interleaved repeats.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 0.5, "Least duration of each measurement.")
_BATCHING = flags.DEFINE_string(
    "batching_parameters_file", None, "For the server; see serve.py."
)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to.")


def main(_):
    """Prints the table; progress goes to standard error."""
    exported = tracker.load_tracker()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gc.freeze()  # As serve.py does.
        callers = {}
        for ops in _OPS.value:
            ratm_tf.export_saved_model(exported, folder / ops, ops=ops)
            addresses = stack.enter_context(served(folder / ops))
            callers[ops] = {
                "in process": in_process(folder / ops),
                "gRPC": serving.GrpcClient(addresses["gRPC"], ops, 300).predict,
                "REST": serving.RestClient(addresses["REST"], ops, 300).predict,
            }
        cases = make_cases(callers)
        measured = measure(cases)
    rows = [
        dict(
            zip(("ops", "signature", "batch", "clients", "protocol"), key, strict=True)
        )
        | figures
        for key, figures in measured.items()
    ]
    print_table(measured)
    if _JSON.value:
        pathlib.Path(_JSON.value).write_text(json.dumps(rows, indent=1) + "\n")


@contextlib.contextmanager
def served(folder):
    """Addresses of a server of this model, by protocol."""
    command = [sys.executable, pathlib.Path(__file__).with_name("serve.py")]
    command += [f"--model={folder}", "--grpc_port=0", "--rest_port=0"]
    if _BATCHING.value:
        command += [f"--batching_parameters_file={_BATCHING.value}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        yield dict(re.findall(r"(gRPC|REST) at (?:http://)?([\w.]+:\d+)", line))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def in_process(folder):
    """The function that runs a signature of the newest version here."""
    library.unavailable_reason()  # Exports with the fused op need it loaded.
    model = serving.ServedModel(folder)
    model.refresh()
    return model.version(ModelSpec(name=model.name)).run


def make_cases(callers):
    """Functions without arguments by (ops, signature, batch, clients, protocol)."""
    cases = {}
    for batch in _BATCHES.value:
        inputs = requests_of(batch, next(iter(callers.values()))["in process"])
        for ops, by_protocol in callers.items():
            for signature in _SIGNATURES.value:
                for clients in _CLIENTS.value:
                    for protocol in PROTOCOLS:
                        if (protocol, signature) == ("REST", "track"):
                            continue
                        call = by_protocol[protocol]
                        key = ops, signature, batch, clients, protocol
                        cases[key] = call, signature, inputs[signature]
    return cases


def requests_of(batch, run):
    """The inputs of each signature, for `batch` videos of moving digits."""
    videos = ratm_tf.datasets.moving_mnist_sequences(
        "test", num_frames=_FRAMES.value, batch_size=batch, fallback=True
    )
    frames = next(iter(videos))["frames"].numpy()
    files = [cv2.imencode(".jpg", f)[1].tobytes() for video in frames for f in video]
    size = np.tile(np.int32(frames.shape[2:4]), [batch, 1])
    files = np.array(files, object).reshape(frames.shape[:2])
    states = run("start", {"frame_size": size})
    return {
        "track": {"frames": frames},
        "track_encoded": {"frames": files},
        "step": {"frame": frames[:, 0]} | states,
        "step_encoded": {"frame": files[:, 0]} | states,
    }


def measure(cases):
    """Median milliseconds and frames per second of each case."""
    samples = {key: [] for key in cases}
    most = max(_CLIENTS.value)
    with concurrent.futures.ThreadPoolExecutor(most) as pool:
        for call, signature, inputs in cases.values():
            list(pool.map(lambda _: call(signature, inputs), range(most)))  # noqa: B023
        for repeat in range(_REPEATS.value):
            for key, case in cases.items():
                samples[key].append(sample(pool, key, *case))
            print(f"Repeat {repeat + 1} of {_REPEATS.value}", file=sys.stderr)
    return {
        key: {
            name: statistics.median(sample[name] for sample in case)
            for name in ("milliseconds", "frames_per_second")
        }
        for key, case in samples.items()
    }


def sample(pool, key, call, signature, inputs):
    """One measurement: clients that call until the time is over."""
    _, _, batch, clients, _ = key
    started = time.perf_counter()

    def client(_):
        times = []
        while time.perf_counter() < started + _SECONDS.value or not times:
            begun = time.perf_counter()
            call(signature, inputs)
            times.append(time.perf_counter() - begun)
        return times

    times = [seconds for all_ in pool.map(client, range(clients)) for seconds in all_]
    elapsed = time.perf_counter() - started
    frames = batch * (_FRAMES.value if signature.startswith("track") else 1)
    return {
        "milliseconds": 1e3 * statistics.median(times),
        "frames_per_second": len(times) * frames / elapsed,
    }


def print_table(measured):
    """A row for each case, with all protocols."""
    print("| ops | signature | batch | clients | in process | gRPC | REST |")
    print("|---|---|---|---|---|---|---|")
    for key in dict.fromkeys(key[:-1] for key in measured):
        cells = []
        for protocol in PROTOCOLS:
            figures = measured.get((*key, protocol))
            if figures is None:
                cells.append("")
                continue
            rate = figures["frames_per_second"]
            cell = f"{figures['milliseconds']:.1f} ms, {rate:,.0f}/s"
            if protocol != "in process":
                ratio = rate / measured[(*key, "in process")]["frames_per_second"]
                cell += f" ({ratio:.2f}x)"
            cells.append(cell)
        print("|", " | ".join(map(str, (*key, *cells))), "|")


if __name__ == "__main__":
    app.run(main)
