"""Measures what an export costs and tracks: TensorFlow, LiteRT and ONNX, on one core.

python experiments/benchmark_export.py --model=pretrained:moving_mnist

Each runs `step` over the same videos, frame by frame, in a process of its own, which
imports no more than it takes. Prints a row of Markdown for each: the files' size, the
most memory that the process took, frames/s as a ratio to TensorFlow's, how far boxes
are from the tracker's at most, in pixels, and the mean corner IoU.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

_REPEATS = 3


def tensorflow_runtime(path):
    """The SavedModel's signatures, by TensorFlow on one thread."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    signatures = tf.saved_model.load(path).signatures

    def call(name, **inputs):
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        return {k: v.numpy() for k, v in signatures[name](**inputs).items()}

    return call, ""


def litert_runtime(path):
    """The file's signatures, by LiteRT on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    signatures = {
        name: interpreter.get_signature_runner(name) for name in ("start", "step")
    }
    return lambda name, **inputs: signatures[name](**inputs), ""


def onnx_runtime(path):
    """The folder's files, by ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(f"{path}/{name}.onnx", options)
        for name in ("start", "step")
    }

    def call(name, **inputs):
        names = [output.name for output in sessions[name].get_outputs()]
        return dict(zip(names, sessions[name].run(names, inputs), strict=True))

    return call, "next_"


_RUNTIMES = {
    "TensorFlow": tensorflow_runtime,
    "LiteRT": litert_runtime,
    "ONNX": onnx_runtime,
}


def follow(runtime, path, data):
    """Tracks the videos of a file in this process; prints JSON, writes the boxes."""
    call, prefix = _RUNTIMES[runtime](path)
    with np.load(data) as file:
        videos = file["frames"]
        first = file["initial_box"] if "initial_box" in file else None

    def boxes(index):
        frames = videos[index]
        box = {} if first is None else {"initial_box": first[index : index + 1]}
        size = np.int32([frames.shape[1:3]])
        outputs = call("start", frame_size=size, **box)
        for frame in frames:
            states = {
                name.removeprefix(prefix): value
                for name, value in outputs.items()
                if name.startswith(f"{prefix}state_")
            }
            outputs = call("step", frame=frame[np.newaxis], **states)
            yield outputs["boxes"][0], outputs["corner_boxes"][0]

    tracked = np.array([list(boxes(index)) for index in range(len(videos))])
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        count = sum(1 for index in range(min(len(videos), 10)) for _ in boxes(index))
        seconds.append((time.perf_counter() - start) / count)
    np.save(f"{data}.{os.getpid()}.npy", tracked)
    # Of this process alone, where `getrusage` has the parent's in it.
    status = pathlib.Path("/proc/self/status").read_text()
    memory = int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024
    print(json.dumps({"rate": 1 / np.median(seconds), "memory": memory}))


def main(_):
    """Exports, runs and compares."""
    import ratm_tf
    from ratm_tf.export import export_litert, export_onnx, export_saved_model

    loaded = tracker.load_tracker()
    tested = dataset.recipe(loaded.starts_on_target, test_sequences=200)
    batches = list(tested.test_data().as_numpy_iterator())
    videos = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in ("frames", "boxes", "initial_box")
        if name in batches[0]
    }
    if not loaded.starts_on_target:
        videos.pop("initial_box", None)
    if videos["frames"].dtype != np.uint8:
        videos["frames"] = np.uint8(np.round(255 * videos["frames"]))
    inputs = {name: videos[name] for name in videos if name != "boxes"}
    expected = loaded.predict(inputs, batch_size=20, verbose=0)["boxes"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = folder / "videos.npz"
        np.savez(data, **videos)
        exports = [("TensorFlow", "float32", export_saved_model(loaded, folder / "tf"))]
        for precision in ("float32", "float16", "int8"):
            path = folder / f"{precision}.tflite"
            exports.append(
                ("LiteRT", precision, export_litert(loaded, path, precision))
            )
        for precision in ("float32", "float16"):
            path = export_onnx(loaded, folder / f"onnx_{precision}", precision)
            exports.append(("ONNX", precision, path))
        print("| runtime | weights | size | memory | frames/s | pixels | corner IoU |")
        print("|---|---|---|---|---|---|---|")
        peer = None
        for runtime, precision, path in exports:
            result, tracked = _in_a_process(runtime, path, data)
            peer = peer or result["rate"]
            apart = np.abs(tracked[:, :, 0] - expected).max()
            corner = np.float32(tracked[:, :, 1])
            overlap = ratm_tf.boxes.iou(videos["boxes"], corner).numpy().mean()
            print(
                f"| {runtime} | {precision} | {_size(path) / 2**20:.1f} MiB "
                f"| {result['memory']:.0f} MiB | {result['rate'] / peer:.2f}x "
                f"| {apart:.1g} | {100 * overlap:.2f} |",
                flush=True,
            )


def _in_a_process(runtime, path, data):
    command = [sys.executable, __file__, runtime, str(path), str(data)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    tracked = np.load(f"{data}.{process.pid}.npy")
    return json.loads(output.splitlines()[-1]), tracked


def _size(path):
    files = [path] if path.is_file() else path.rglob("*")
    # What tracks whole videos is a file of its own in ONNX alone.
    return sum(f.stat().st_size for f in files if f.is_file() and f.stem != "track")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in _RUNTIMES:
        follow(*sys.argv[1:])
    else:
        # Of these the runtimes' processes know nothing: they define flags.
        from ratm_tf.cli import dataset, program, tracker

        program.run(main)
