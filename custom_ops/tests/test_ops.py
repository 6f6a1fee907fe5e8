"""What the ops themselves check, in graphs and in kernels."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests import programs

GOOD = {"images": [2, 4, 5, 1], "window": [2, 3, 6], "grad": [2, 3, 7, 8, 1]}
GOOD_ALONE = GOOD | {"window": [2, 6], "grad": [2, 7, 8, 1]}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    "good,bad",
    [
        (GOOD, {"images": [2, 4, 5]}),
        (GOOD, {"images": [2, 0, 5, 1]}),
        (GOOD, {"images": [2, 4, 0, 1]}),
        (GOOD, {"images": [3, 4, 5, 1]}),
        (GOOD, {"window": [6]}),
        (GOOD, {"window": [2, 1, 3, 6]}),
        (GOOD, {"window": [2, 3, 5]}),
        (GOOD, {"window": [1, 3, 6]}),
        (GOOD, {"grad": [2, 7, 8, 1]}),
        (GOOD, {"grad": [2, 3, 7, 8]}),
        (GOOD, {"grad": [2, 4, 7, 8, 1]}),
        (GOOD, {"grad": [1, 3, 7, 8, 1]}),
        (GOOD, {"grad": [2, 3, 0, 8, 1]}),
        (GOOD, {"grad": [2, 3, 7, 8, 2]}),
        (GOOD_ALONE, {"images": [3, 4, 5, 1]}),
        (GOOD_ALONE, {"window": [2, 5]}),
        (GOOD_ALONE, {"window": [1, 6]}),
        (GOOD_ALONE, {"grad": [7, 8, 1]}),
        (GOOD_ALONE, {"grad": [2, 1, 7, 8, 1]}),
        (GOOD_ALONE, {"grad": [1, 7, 8, 1]}),
        (GOOD_ALONE, {"grad": [2, 7, 0, 1]}),
        (GOOD_ALONE, {"grad": [2, 7, 8, 2]}),
    ],
    ids=str,
)
def test_kernels_and_shape_functions_check_shapes(fused, good, bad, graph):
    inputs = {name: tf.ones(shape) for name, shape in {**good, **bad}.items()}
    images, window, grad = inputs["images"], inputs["window"], inputs["grad"]
    calls = [
        lambda: fused.ratm_gaussian_glimpse_grad_window(
            images=images, window=window, grad=grad
        )
    ]
    if "grad" not in bad:
        calls.append(
            lambda: fused.ratm_gaussian_glimpse(
                images=images,
                window=window,
                glimpse_height=7,
                glimpse_width=8,
                Tout=tf.float32,
            )
        )
    if "images" not in bad and inputs["grad"].shape[-1] == 1:
        calls.append(
            lambda: fused.ratm_gaussian_glimpse_grad_images(
                image_size=[4, 5], window=window, grad=grad
            )
        )
    for call in calls:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            tf.function(call)() if graph else call()


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("size", [[0, 5], [4, -1], [4], [4, 5, 6], [[4, 5]]], ids=str)
def test_image_size_is_checked(fused, size, graph):
    def call():
        return fused.ratm_gaussian_glimpse_grad_images(
            image_size=tf.constant(size, tf.int64),
            window=tf.ones(GOOD["window"]),
            grad=tf.ones(GOOD["grad"]),
        )

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.function(call)() if graph else call()


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    "images,window,output",
    [
        (tf.float32, tf.float64, tf.float32),
        (tf.float64, tf.float32, tf.float64),
        (tf.float32, tf.float32, tf.float16),
        (tf.float16, tf.float32, tf.float32),
        (tf.uint8, tf.float32, tf.float16),
    ],
)
def test_dtypes_are_checked(fused, images, window, output, graph):
    def call():
        return fused.ratm_gaussian_glimpse(
            images=tf.ones([2, 4, 5, 1], images),
            window=tf.ones([2, 1, 6], window),
            glimpse_height=2,
            glimpse_width=2,
            Tout=output,
        )

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.function(call)() if graph else call()


def glimpse_with(instruction_set):
    """What a process limited to an instruction set prints, of all ops, or an error."""
    program = """
import tensorflow as tf
import ratm_tf
from ratm_tf.attention import library
from ratm_tf.attention.colour_likelihood import ColourLikelihood
from ratm_tf.attention.correlation_filter import (
    CorrelationFilter,
    peak,
    standardized,
)

rows = tf.cast(tf.range(400) % 37, tf.float32)
try:
    glimpse = library.load().ratm_gaussian_glimpse(
        images=tf.reshape(tf.sin(rows), [1, 20, 20, 1]),
        window=[[9.3, 8.1, 1.0, 1.2, 2.5, 2.0]],
        glimpse_height=4,
        glimpse_width=5,
        Tout=tf.float32,
    )
    maps = tf.sin(tf.reshape(tf.range(16 * 16 * 11) % 37 / 3, [1, 16, 16, 11]))
    maps = standardized(tf.cast(maps, tf.float32), centred=True)
    filter = CorrelationFilter(16, support=0.5)
    response = filter.respond(filter.solve(*filter.fit(maps)), maps)
    likelihood = ColourLikelihood((16, 16, 3), cells=8, context=2.0)
    colours = (1 + maps[..., :3] / tf.reduce_max(tf.abs(maps))) / 2
    likely = likelihood.of_boxes(likelihood.histograms(colours), colours)
    block = ratm_tf.features.InvertedResidual(20, 11, 3, strides=2)
    block.build(maps.shape)
    for weight in block.weights:
        numbers = tf.range(tf.size(weight.value), dtype=tf.float32)
        weight.assign(tf.reshape(tf.sin(numbers), weight.shape))
    projected = block(maps)
    tf.keras.utils.set_random_seed(0)
    cell = ratm_tf.RATMCell(40, (5, 4))
    cell.build([None, 16, 16, 3])
    cell.window.kernel.assign(tf.sin(tf.reshape(tf.range(240.0), [40, 6])) / 9)
    with tf.GradientTape() as tape:
        frames = tf.stack([colours, colours], axis=1)
        seen, states = cell.track(frames, cell.get_initial_state(2))
        loss = tf.reduce_sum(seen[1] ** 2) + tf.reduce_sum(states[0])
    slopes = tape.gradient(loss, [weight.value for weight in cell.weights])
    results = [glimpse, maps, response, *peak(response), likely]
    results += [projected, *seen, *slopes]
    print([number for part in results for number in part.numpy().ravel().tolist()])
except tf.errors.InvalidArgumentError as error:
    print(error.message)
"""
    limits = {"RATM_TF_MAX_CPU_ISA": instruction_set, "CUDA_VISIBLE_DEVICES": ""}
    result = programs.run_code(program, **limits)
    result.check_returncode()
    return result.stdout


def test_the_environment_limits_the_instruction_set(fused):
    best, generic = glimpse_with(""), glimpse_with("Generic")
    np.testing.assert_allclose(json.loads(best), json.loads(generic), 1e-4, 1e-5)
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists() and {"avx2", "fma"} <= set(cpuinfo.read_text().split()):
        # Only the others multiply and add at once.
        assert best != generic


def test_an_unknown_instruction_set_is_refused(fused):
    assert (
        "RATM_TF_MAX_CPU_ISA must be generic, avx2 or avx512, got sse9"
        in glimpse_with("sse9")
    )
