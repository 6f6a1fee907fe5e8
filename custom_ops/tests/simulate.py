"""The ops as CUDA would run them, by `ptx`.

`python -m custom_ops.tests.simulate` prints how many instructions the warps of an
H200 would issue, and how long that takes at one a cycle and scheduler: a floor.
"""

import ctypes
import itertools
import pathlib
import re
import subprocess
import tempfile

import numpy as np

from custom_ops.tests import ptx

ROOT = pathlib.Path(__file__).parents[2]
TYPES = {
    "uint8": "uint8_t",
    "bfloat16": "__nv_bfloat16",
    "float16": "__half",
    "float32": "float",
    "float64": "double",
}
OPS = {
    "glimpse": "glimpse",
    "grad_window": "window gradient",
    "grad_images": "image gradient",
}
CALLBACK = ctypes.CFUNCTYPE(
    None,
    *(ctypes.c_char_p, ctypes.c_void_p, *[ctypes.c_int64] * 4),
)


class Ops:
    """The three ops, compiled into a folder for an architecture such as "90".

    Each returns its result and, by kernel, the warp instructions of every block that
    was run; `some(units)` chooses these from the number of blocks, all unless given.
    """

    def __init__(self, folder, architecture="90"):
        nvcc = ["nvcc", "-std=c++17", "-DNDEBUG", f"-I{ROOT}"]
        kernels = ROOT / "custom_ops" / "cuda" / "launch.cu"
        target = folder / f"kernels_{architecture}.ptx"
        command = ["-O3", f"-arch=sm_{architecture}", "-ptx", kernels, "-o", target]
        subprocess.run([*nvcc, *command], check=True)
        self._text = target.read_text()
        library = folder / "works.so"
        works = ROOT / "custom_ops" / "tests" / "works.cc"
        command = ["-x", "c++", "-shared", "-Xcompiler=-fPIC", "-cudart=none", works]
        subprocess.run([*nvcc, *command, "-o", library], check=True)
        self._works = ctypes.CDLL(library)
        self._works.GradWindowSums.restype = ctypes.c_int64
        self._kernels = {}

    def glimpse(self, images, windows, size, some=range):
        """Images `[B, H, W, C]`, windows `[B, K, 6]`, size (rows, columns)."""
        dtype = np.float32 if images.dtype == np.uint8 else images.dtype
        channels = images.shape[-1]
        result = np.zeros([*windows.shape[:2], *size, channels], dtype)
        shape = _shape(images.shape, windows, size)
        arrays = {"images": images, "windows": windows}
        return self._do("glimpse", images.dtype, shape, arrays, result, some)

    def grad_window(self, images, windows, grad, some=range):
        """Of glimpses' gradient `[B, K, N, M, C]`."""
        shape = _shape(images.shape, windows, grad.shape[2:4])
        sums = np.zeros(self._works.GradWindowSums(shape), np.float64)
        arrays = {"images": images, "windows": windows, "grad": grad, "scratch": sums}
        result = np.zeros_like(windows)
        return self._do("grad_window", images.dtype, shape, arrays, result, some)

    def grad_images(self, images_shape, windows, grad, some=range):
        """The same with respect to images `[B, H, W, C]`."""
        shape = _shape(images_shape, windows, grad.shape[2:4])
        result = np.zeros(images_shape, grad.dtype)
        arrays = {"windows": windows, "grad": grad}
        return self._do("grad_images", grad.dtype, shape, arrays, result, some)

    def _do(self, op, dtype, shape, arrays, result, some):
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        room = sum(array.nbytes + 512 for array in [*arrays.values(), result])
        memory = ptx.Memory(room)
        address, result = memory.put(_not_written(result))
        addresses = {name: memory.put(array)[0] for name, array in arrays.items()}
        order = ("images", "windows", "grad", "scratch")
        addresses = [*(addresses.get(name, 0) for name in order), address]
        counts, errors = {}, []

        def launch(work, parameter, size, units, threads, shared_bytes):
            try:
                parameter = ctypes.string_at(parameter, size) if work else parameter
                if not work:
                    memory.zero(parameter, size)
                elif units:
                    kernel = self._kernel(work.decode())
                    counts[_name(work.decode())] = kernel.run(
                        *(units, threads, shared_bytes, parameter, memory), some(units)
                    )
            except Exception as error:  # ctypes would only print it.
                errors.append(error)

        self._works.Do(
            op.encode(),
            TYPES[str(dtype)].encode(),
            shape,
            (ctypes.c_void_p * 5)(*addresses),
            CALLBACK(launch),
        )
        if errors:
            raise errors[0]
        return result, counts

    def _kernel(self, work):
        if work not in self._kernels:
            self._kernels[work] = ptx.Kernel(self._text, work.removeprefix("N4ratm"))
        return self._kernels[work]


def _shape(images_shape, windows, size):
    batch, height, width, channels = images_shape
    shape = (batch, windows.shape[1], height, width, channels, *size)
    return (ctypes.c_int64 * 7)(*shape)


def _not_written(array):
    """NaN, where there is one, for all that no kernel writes."""
    bits = np.full(array.nbytes, 0xFF, np.uint8)
    return bits.view(array.dtype).reshape(array.shape)


def _name(work):
    return re.search(r"blocks\d+([A-Za-z]+)I", work)[1]


# As in experiments/benchmark_cuda.py, a window in the middle of what it draws: the
# batch, image `[H, W, C]`, glimpse and window.
CASES = {
    "B": (1024, (100, 100, 1), (28, 28), (50.2, 47.7, 1.125, 1.125, 2.25, 2.25)),
    "D": (32, (1080, 1920, 3), (64, 64), (960.3, 540.2, 2.5, 2.5, 5, 5)),
}
# An H200: multiprocessors, schedulers of each, cycles and bytes a microsecond.
INSTRUCTIONS_A_MICROSECOND = 132 * 4 * 1980
BYTES_A_MICROSECOND = 4.8e6


def count(ops, case, op, most_blocks=None):
    """Returns warp instructions a window, the floor and the bound in microseconds.

    The bound is the time of the bytes that must move. Of kernels with more than
    `most_blocks` blocks, so many are run and stand for all.
    """
    batch, image, size, window = CASES[case]
    random = np.random.default_rng(0)
    windows = np.array(window, np.float32).reshape(1, 1, 6)
    grad = random.random((1, 1, *size, image[2]), np.float32)
    blocks = []

    def some(units):
        step = 1 if most_blocks is None else -(-units // most_blocks)
        blocks.append(step)
        return range(0, units, step)

    seen = np.prod([_seen(window, axis, image, size) for axis in (0, 1)]) * image[2]
    if op == "grad_images":
        moved = np.prod(image) + grad.size
        _, counts = ops.grad_images((1, *image), windows, grad, some)
    else:
        moved = seen + grad.size
        images = random.random((1, *image), np.float32)
        arguments = (images, windows, size if op == "glimpse" else grad, some)
        _, counts = getattr(ops, op)(*arguments)
    instructions = sum(
        step * sum(each) for step, each in zip(blocks, counts.values(), strict=True)
    )
    floor = batch * instructions / INSTRUCTIONS_A_MICROSECOND
    return instructions, floor, batch * 4 * moved / BYTES_A_MICROSECOND


def _seen(window, axis, image, size):
    """The pixels that a window inside the image sees on an axis."""
    center, sigma, stride = window[axis::2]
    reach = 0.5 * (size[1 - axis] - 1) * stride + 6 * sigma
    return np.floor(center + reach) - np.ceil(center - reach) + 1


def main():
    """Prints the table."""
    print("| case | images | op | warp instructions a window | floor, us | bound, us |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        ops = Ops(pathlib.Path(folder))
        for case, op in itertools.product(CASES, OPS):
            instructions, floor, bound = count(ops, case, op)
            print(
                f"| {case} | {CASES[case][0]} | {OPS[op]} | {instructions:,.0f} | "
                f"{floor:.1f} | {bound:.1f} |"
            )


if __name__ == "__main__":
    main()
