import numpy as np
import pytest

from ratm_tf.datasets.cutouts.motion import Camera, Course, drift, rotations
from ratm_tf.datasets.cutouts.sprite import Bend, draw, make_sprite, smear

FRAMES = 6
SHAPE = (100, 120)


def camera(roll=0.0, zoom=0.0):
    linear = rotations(np.linspace(0, roll, FRAMES), np.linspace(1, 1 + zoom, FRAMES))
    middle = np.array(SHAPE[::-1]) / 2 - 0.5
    return Camera(linear, np.tile(middle, [FRAMES, 1]), middle)


def course(centre=(60, 50), size=(24, 40), turn=0.0):
    rng = np.random.default_rng(0)
    ways = np.stack([drift(rng, FRAMES, 2, -9, 9) for _ in range(2)], axis=1)
    return Course(
        np.array(centre) + ways,
        np.array(size) * np.linspace(1, 1.3, FRAMES)[:, np.newaxis],
        np.linspace(0, turn, FRAMES),
        np.linspace(0, 5, FRAMES),
    )


def disc(value=255):
    rows, columns = np.mgrid[:60, :40]
    inside = ((rows - 29.5) / 28) ** 2 + ((columns - 19.5) / 18) ** 2 < 1
    image = np.full([60, 40, 4], value, np.uint8)
    image[..., 3] = 255 * inside
    return image


def drawn(sprite, t):
    canvas = np.zeros([*SHAPE, 3], np.uint8)
    shown = np.zeros(SHAPE, np.uint8)
    draw(canvas, sprite, t, shown, target=True)
    return canvas, shown


@pytest.mark.parametrize(
    "bend", [None, Bend(0.4, 0.4, 0, 0), Bend(0, 0.1, 0.2, 1.5)], ids=str
)
@pytest.mark.parametrize("turn", [0.0, 0.6])
def test_boxes_and_areas_are_those_of_what_is_drawn(bend, turn):
    path = course(turn=turn)
    sprite = make_sprite(disc(), path, camera(0.2 * turn, 0.2), bend, 1.0, 0.0)
    for t in range(FRAMES):
        canvas, shown = drawn(sprite, t)
        np.testing.assert_array_equal(canvas[..., 0], shown)
        rows, columns = np.nonzero(shown > 127)
        box = [columns.min(), rows.min(), columns.max(), rows.max()]
        box = box + np.array([-0.5, -0.5, 0.5, 0.5])
        np.testing.assert_allclose(sprite.boxes[t], box, atol=1.3)
        np.testing.assert_allclose(sprite.areas[t], shown.sum() / 255, rtol=0.04)


def test_what_is_drawn_over_the_target_hides_it():
    target = make_sprite(disc(200), course(), camera(), None, 1.0, 0.0)
    half = disc(50)
    half[..., 3] = 128
    path = course()
    path = path._replace(centre=path.centre + [20, 0])
    other = make_sprite(half, path, camera(), None, 1.0, 0.0)
    canvas, shown = drawn(target, 2)
    before = shown.copy()
    draw(canvas, other, 2, shown)
    alone = drawn(other, 2)[1] / 255.0
    np.testing.assert_allclose(shown, before * (1 - alone), atol=1)
    expected = 200 / 255 * before * (1 - alone) + 50 * alone
    np.testing.assert_allclose(canvas[..., 1], expected, atol=2)
    assert 0.05 < 1 - shown.sum() / before.sum() < 0.5


def test_frames_clip_sprites():
    whole = make_sprite(disc(), course(), camera(), None, 1.0, 0.0)
    path = course(centre=(0, 50))
    sprite = make_sprite(disc(), path, camera(), None, 1.0, 0.0)
    _, shown = drawn(sprite, 0)
    np.testing.assert_array_equal(shown[:, :50], drawn(whole, 0)[1][:, 60:110])
    assert sprite.boxes[0, 0] < -10
    away = path._replace(centre=path.centre - 500)
    canvas, shown = drawn(make_sprite(disc(), away, camera(), None, 1.0, 0.0), 0)
    assert not canvas.any() and not shown.any()


def test_shutters_blur_along_the_way():
    path = course(size=(12, 12))
    path = path._replace(
        centre=np.array([[30.0, 50]]) + np.arange(6)[:, None] * [10, 0]
    )
    sharp = drawn(make_sprite(disc(), path, camera(), None, 1.0, 0.0), 3)[1]
    sprite = make_sprite(disc(), path, camera(), None, 1.0, 1.0)
    np.testing.assert_allclose(sprite.blurs[1:], np.tile([10, 0], [5, 1]))
    blurred = drawn(sprite, 3)[1]
    np.testing.assert_allclose(blurred.sum(), sharp.sum(), rtol=0.02)
    columns = np.arange(SHAPE[1])

    def spread(shown, axis):
        weights = shown.sum(axis=axis) / shown.sum()
        places = np.arange(len(weights))
        return (weights * (places - weights @ places) ** 2).sum()

    np.testing.assert_allclose(spread(blurred, 1), spread(sharp, 1), rtol=0.05)
    grown = spread(blurred, 0) - spread(sharp, 0)
    np.testing.assert_allclose(grown, 11**2 / 12, rtol=0.1)
    middle = [shown.sum(axis=0) @ columns / shown.sum() for shown in (sharp, blurred)]
    np.testing.assert_allclose(*middle, atol=0.3)


def test_smearing_has_its_limits():
    image = np.random.default_rng(0).integers(0, 255, [40, 60, 3]).astype(np.uint8)
    np.testing.assert_array_equal(smear(image, (1, -1)), image)
    np.testing.assert_array_equal(smear(image, (0, 500)), smear(image, (0, 24)))
    assert smear(image, (9, 9)).std() < 0.5 * image.std()
