import numpy as np
import pytest
import tensorflow as tf

from ratm_tf.datasets.bouncing_balls.simulation import draw_balls, simulate


def keys(index):
    return tf.constant([[0, index], [1, index]], tf.int64)


def reference(positions, velocities, num_frames, radius, box_size):
    """One box of balls, one coordinate at a time."""
    positions, velocities = positions.astype(float), velocities.astype(float)
    box_size = np.broadcast_to(box_size, 2)
    trajectory, collisions = [positions.copy()], 0
    for _ in range(num_frames - 1):
        for _ in range(2):
            positions += 0.5 * velocities
            for ball in range(len(positions)):
                for axis in range(2):
                    if positions[ball, axis] - radius < 0:
                        velocities[ball, axis] = abs(velocities[ball, axis])
                    if positions[ball, axis] + radius > box_size[axis]:
                        velocities[ball, axis] = -abs(velocities[ball, axis])
            for one in range(len(positions)):
                for other in range(one):
                    line = positions[one] - positions[other]
                    distance = np.linalg.norm(line)
                    if distance < 2 * radius:
                        line /= distance
                        a, b = velocities[one] @ line, velocities[other] @ line
                        velocities[one] += (b - a) * line
                        velocities[other] += (a - b) * line
                        collisions += 1
        trajectory.append(positions.copy())
    return np.stack(trajectory), collisions


@pytest.mark.parametrize(
    ("num_balls", "radius", "box_size"),
    [(1, 1.2, 10.0), (3, 1.2, 10.0), (2, 14.0, (100.0, 80.0))],
)
def test_simulation_matches_reference(num_balls, radius, box_size):
    num_boxes, num_frames = 8, 40
    starts = [
        draw_balls(
            *keys(index),
            num_balls,
            radius=radius,
            box_size=box_size,
            speed=2 * radius,
        )
        for index in range(num_boxes)
    ]
    positions, velocities = (
        np.float64(np.stack(part)) for part in zip(*starts, strict=True)
    )

    trajectory = simulate(
        positions, velocities, num_frames, radius=radius, box_size=box_size
    )
    assert trajectory.shape == (num_boxes, num_frames, num_balls, 2)
    collisions = 0
    for index in range(num_boxes):
        expected, count = reference(
            positions[index],
            velocities[index],
            num_frames,
            radius,
            box_size,
        )
        np.testing.assert_allclose(trajectory[index], expected, atol=1e-9 * radius)
        collisions += count
    assert (collisions > 0) == (num_balls > 1)


def test_balls_meet_head_on_and_at_a_wall():
    positions = [[3.0, 5.0], [7.0, 5.0]]
    velocities = [[0.5, 0.0], [-0.5, 0.0]]
    first, second = tf.unstack(simulate(positions, velocities, 12)[..., 0], axis=1)
    np.testing.assert_allclose(first[:5], [3, 3.5, 4, 3.5, 3])
    np.testing.assert_allclose(first + second, 10)
    np.testing.assert_allclose(first[7:], [1.5, 1, 1.5, 2, 2.5])


def test_energy_is_conserved_without_kicks():
    positions, velocities = draw_balls(*keys(7), num_balls=3)
    trajectory = tf.function(simulate)(
        tf.cast(positions, tf.float64), tf.cast(velocities, tf.float64), 500
    )
    # Between frames without a bounce a ball moves by its velocity.
    moves = np.diff(trajectory, axis=0)
    energy = np.square(moves).sum(axis=(1, 2))
    free = np.isclose(energy, 0.25, rtol=1e-6)
    assert free.mean() > 0.5 and free[-50:].any()
    assert trajectory.numpy().min() > 1.2 - 0.25
    assert trajectory.numpy().max() < 8.8 + 0.25


def test_start_is_spread_over_the_box_without_overlap():
    draw = tf.function(draw_balls)
    starts = [draw(*keys(index), num_balls=2, box_size=(10, 8)) for index in range(150)]
    positions, velocities = (np.stack(part) for part in zip(*starts, strict=True))
    assert positions.dtype == velocities.dtype == np.float32
    assert (np.linalg.norm(positions[:, 0] - positions[:, 1], axis=-1) >= 2.4).all()
    np.testing.assert_allclose(positions.min(axis=(0, 1)), 1.2, atol=0.2)
    np.testing.assert_allclose(positions.max(axis=(0, 1)), [8.8, 6.8], atol=0.2)
    speeds = np.sqrt(np.square(velocities).sum(axis=(1, 2)))
    np.testing.assert_allclose(speeds, 0.5, rtol=1e-5)
    assert np.abs(velocities.mean(axis=(0, 1))).max() < 0.07


def test_a_single_frame_is_the_start():
    trajectory = simulate([[2.0, 3.0]], [[1.0, 0.0]], 1)
    np.testing.assert_array_equal(trajectory, [[[2.0, 3.0]]])
