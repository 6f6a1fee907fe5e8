"""Times the CUDA kernels beside PyTorch's, on the same work.

The peer is the plain formula by `torch.compile`: filter banks over all pixels and two
matrix products. It needs PyTorch and no TensorFlow. Build
custom_ops/tests/device_test.cu as it says itself; then, from the root of the
repository:

python experiments/benchmark_cuda.py /tmp/device_test

Prints a table of medians in microseconds, each launch with a cold L2 cache, with the
time of as many bytes in a plain copy (bound), and a line of JSON.
"""

import json
import statistics
import subprocess
import sys

import torch

# As in device_test.cu: image, glimpse size, ranges of sigma and of stride.
CASES = {
    "B": ((100, 100, 1), (28, 28), (0.75, 1.5), (1.5, 3)),
    "D": ((1080, 1920, 3), (64, 64), (2.5, 2.5), (5, 5)),
}


def bank(center, sigma, stride, size, extent):
    """Eq. 9 and 11: `[B, size, extent]`."""
    offsets = torch.arange(size, device=center.device) - (size - 1) / 2
    mu = center[:, None] + offsets * stride[:, None]
    distance = torch.arange(extent, device=center.device) - mu[..., None]
    return torch.softmax(-0.5 * (distance / sigma[:, None, None]) ** 2, -1)


def glimpse(images, windows, rows, columns):
    """Eq. 4: `[B, rows, columns, C]`."""
    x, y, sigma_x, sigma_y, stride_x, stride_y = windows.unbind(-1)
    bank_y = bank(y, sigma_y, stride_y, rows, images.shape[1])
    bank_x = bank(x, sigma_x, stride_x, columns, images.shape[2])
    lines = torch.einsum("bnh,bhwc->bnwc", bank_y, images)
    return torch.einsum("bnwc,bmw->bnmc", lines, bank_x)


def draw(case, batch, device):
    """Images in 0..1 and windows, as the program draws its own."""
    (height, width, channels), _, sigma, stride = CASES[case]
    generator = torch.Generator(device).manual_seed(1)

    def uniform(low, high, *size):
        drawn = torch.rand(size, generator=generator, device=device)
        return low + (high - low) * drawn

    images = uniform(0, 1, batch, height, width, channels)
    center = [uniform(0.3, 0.7, batch) * extent for extent in (width, height)]
    spread = [uniform(*bounds, batch) for bounds in (sigma, sigma, stride, stride)]
    return images, torch.stack(center + spread, -1)


def operations(case, batch, device):
    """The three ops by the program's names: functions that prepare what is timed."""
    images, windows = draw(case, batch, device)
    compiled = torch.compile(glimpse, dynamic=False)
    size = CASES[case][1]

    def gradient(name):
        inputs = {"images": images, "windows": windows}
        inputs[name] = inputs[name].detach().requires_grad_()

        def prepare():
            glimpses = compiled(*inputs.values(), *size)
            grad = torch.ones_like(glimpses)
            return lambda: torch.autograd.grad(glimpses, inputs[name], grad)[0]

        return prepare

    return {
        "glimpse": lambda: lambda: compiled(images, windows, *size),
        "window gradient": gradient("windows"),
        "image gradient": gradient("images"),
    }


def microseconds(prepare, runs=21):
    """The median time of some runs, after a first one."""
    cache = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for _ in range(runs + 1):
        run = prepare()
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        cache.zero_()
        start.record()
        run()
        stop.record()
        stop.synchronize()
        times.append(1e3 * start.elapsed_time(stop))
    return statistics.median(times[1:])


def main():
    """Runs the program, then PyTorch on each of its cases."""
    output = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True)
    measured = json.loads(output.stdout.splitlines()[-1])
    print(f"{measured['device']}, PyTorch {torch.__version__}")
    print("| case | batch | op | here | bound | torch.compile | ratio |")
    print("|---|---|---|---|---|---|---|")
    peers = {}
    for row in measured["timings"]:
        key = row["case"], row["batch"]
        if key not in peers:
            peers = {key: operations(*key, "cuda")}
        row["torch_microseconds"] = microseconds(peers[key][row["op"]])
        ours, peer = row["microseconds"], row["torch_microseconds"]
        print(
            f"| {row['case']} | {row['batch']} | {row['op']} | {ours:.1f} | "
            f"{row['bound_microseconds']:.1f} | {peer:.1f} | {peer / ours:.1f}x |"
        )
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
