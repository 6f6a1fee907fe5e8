"""The kernels' PTX, run without a GPU, and what it costs."""

import shutil

import ml_dtypes
import numpy as np
import pytest

from custom_ops.tests import ptx, simulate
from tests.attention import reference


@pytest.fixture(scope="module")
def ops(tmp_path_factory):
    return build(tmp_path_factory.mktemp("ptx"))


def build(folder, *architecture):
    if shutil.which("nvcc") is None:
        pytest.skip("there is no nvcc")
    return simulate.Ops(folder, *architecture)


def largest_error(actual, expected):
    """Of the largest number, NaN from nothing but NaN."""
    actual = actual.astype(np.float64)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    return np.nanmax(abs(actual - expected)) / np.nanmax(abs(expected))


def check(ops, shape, size, windows, dtype=np.float32, tolerance=1e-6):
    """Images `[B, H, W, C]` of a type, windows a list of B * K."""
    random = np.random.default_rng(0)
    scale = 255 if dtype == np.uint8 else 1
    images = (scale * random.random(shape)).astype(dtype)
    exact = dtype == np.float64
    windows = np.array(windows, np.float64 if exact else np.float32)
    windows = windows.reshape(shape[0], -1, 6)
    grad = 1.25 * random.random((*windows.shape[:2], *size, shape[3])) - 0.25
    grad = grad.astype(np.float32 if dtype == np.uint8 else dtype)
    images_grad, window_grad = reference.gradients(images, windows, grad)

    glimpses, _ = ops.glimpse(images, windows, size)
    expected = reference.glimpse(images, windows, size)
    assert largest_error(glimpses, expected) < tolerance
    actual, _ = ops.grad_window(images, windows, grad)
    assert largest_error(actual, window_grad) < (1e-12 if exact else 5e-6)
    if dtype != np.uint8:
        actual, _ = ops.grad_images(shape, windows, grad)
        assert largest_error(actual, images_grad) < 2 * tolerance


@pytest.mark.parametrize(
    "shape,size,windows",
    [
        ((1, 21, 34, 3), (9, 11), [[17, 11, 2, 1, 3, -2], [4.2, 30, 0.7, 3, 0.4, 1.3]]),
        ((2, 20, 20, 1), (5, 5), [[9.3, 8.1, 1, 1.2, 2.5, 2], [np.nan, 5, 1, 1, 1, 1]]),
        ((1, 5, 60, 33), (3, 7), [[30, 2, 2, 1, 4, 1]]),
        ((1, 40, 300, 1), (3, 40), [[150, 20, 0.5, 0.8, 9.7, -12]]),
        (
            (1, 90, 400, 1),
            (3, 5),
            [[-1500, 50, 120, 3, 9, 1], [200, 700, 3, 90, -4, 9]],
        ),
    ],
    ids=["three channels", "not finite", "many channels", "sparse", "far off"],
)
def test_agrees_with_the_reference(ops, shape, size, windows):
    check(ops, shape, size, windows)


@pytest.mark.parametrize(
    "dtype,tolerance",
    [
        (np.uint8, 1e-6),
        (ml_dtypes.bfloat16, 4e-3),
        (np.float16, 5e-4),
        (np.float64, 1e-12),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_agrees_in_every_type(ops, dtype, tolerance):
    windows = [[17, 11, 2, 1, 3, -2], [4.2, 30, 0.7, 3, 0.4, 1.3]]
    check(ops, (1, 21, 34, 2), (6, 7), windows, dtype, tolerance)
    check(ops, (1, 21, 36, 1), (6, 8), [[17, 11, 1, 1.2, 3, -2]], dtype, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["75", "80", "90"])
def test_random_windows_on_each_architecture(tmp_path, architecture):
    ops = build(tmp_path, architecture)
    random = np.random.default_rng(1)
    for _ in range(20):
        count, channels = random.integers(1, 4, 2)
        extent, size = random.integers(1, 120, 2), random.integers(1, 40, 2)
        middle = random.uniform(-0.3, 1.3, (count, 2)) * extent[::-1]
        spread = 10 ** random.uniform(-1, 1.3, (count, 4))
        windows = np.concatenate([middle, spread], 1)
        check(ops, (1, *extent, channels), tuple(size), windows, tolerance=3e-6)


@pytest.mark.parametrize(
    "case,op,most",
    [
        ("B", "glimpse", 7_500),
        ("B", "grad_window", 9_000),
        ("B", "grad_images", 28_000),
        ("D", "grad_window", 990_000),
    ],
)
def test_instructions_of_a_window(ops, case, op, most):
    """A few per cent more than they are, as compilers differ."""
    instructions, _, _ = simulate.count(ops, case, op, most_blocks=4)
    assert instructions <= most


def test_large_glimpses_come_near_their_bound(ops):
    _, floor, bound = simulate.count(ops, "D", "glimpse", most_blocks=4)
    assert floor <= 1.3 * bound


def test_tiles_that_no_window_sees_cost_little(ops):
    window, grad = np.ones((1, 1, 6), np.float32), np.ones((1, 1, 3, 4, 1), np.float32)
    images_grad, counts = ops.grad_images((1, 640, 640, 1), window, grad)
    assert np.count_nonzero(images_grad) < 20 * 20
    ((first, *others),) = counts.values()
    assert max(others) < 1_000 < first


# Each thread doubles a number of its own, and reads its neighbour's.
PTX = """
.entry double_and_shift(
	.param .align 8 .b8 double_and_shift_param_0[8]
)
{
	.reg .pred %p<2>;
	.reg .f32 %f<3>;
	.reg .b32 %r<4>;
	.reg .b64 %rd<5>;
	ld.param.u64 %rd1, [double_and_shift_param_0];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2;
	ld.global.f32 %f1, [%rd3];
	add.f32 %f2, %f1, %f1;
	shl.b32 %r2, %r1, 2;
	st.shared.f32 [%r2], %f2;
	setp.gt.u32 %p1, %r1, 62;
	BARRIER
	@%p1 bra $L_end;
	ld.shared.f32 %f1, [%r2+4];
	st.global.f32 [%rd3], %f1;
$L_end:
	ret;
}
"""


def double_and_shift(numbers, barrier="bar.sync 0;", threads=64):
    memory = ptx.Memory(4096)
    address, result = memory.put(numbers)
    kernel = ptx.Kernel(PTX.replace("BARRIER", barrier), "double_and_shift")
    parameter = np.uint64(address).tobytes()
    return result, kernel.run(1, threads, 4 * threads, parameter, memory)


def test_threads_meet_at_barriers():
    numbers = np.arange(64, dtype=np.float32)
    result, counts = double_and_shift(numbers)
    np.testing.assert_array_equal(result[:-1], 2 * numbers[1:])
    assert result[-1] == 63
    assert counts == [pytest.approx(2 * 14.3)]


def test_threads_that_wait_at_different_barriers_are_told():
    barriers = "@%p1 bra $L_other;\nbar.sync 0;\n$L_other:\nbar.sync 0;"
    with pytest.raises(RuntimeError, match="different barriers"):
        double_and_shift(np.zeros(64, np.float32), barriers)


def test_races_are_told():
    with pytest.raises(RuntimeError, match="race for shared memory"):
        double_and_shift(np.zeros(64, np.float32), barrier="")


def test_memory_that_is_nobodys_is_refused():
    with pytest.raises(IndexError, match="4 bytes at .* are not aligned in an array"):
        double_and_shift(np.zeros(63, np.float32))
    with pytest.raises(IndexError):
        double_and_shift(np.zeros(65, np.float32), threads=96)


def test_unknown_instructions_are_refused():
    with pytest.raises(NotImplementedError, match="vote.sync.ballot"):
        double_and_shift(np.zeros(64, np.float32), "vote.sync.ballot.b32 %r3, %p1, -1;")
