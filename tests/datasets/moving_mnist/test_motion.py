import itertools

import numpy as np
import tensorflow as tf

from ratm_tf.datasets.moving_mnist.motion import bouncing_walk, random_walk


def reference_walk(position, velocity, kicks, limit):
    """One coordinate of `random_walk`, one step at a time."""
    positions = [position]
    for kick in kicks:
        velocity = 0.9 * velocity + 0.1 * kick
        position = position + velocity
        if position < 0:
            position, velocity = -position, -velocity
        elif position > limit:
            position, velocity = 2 * limit - position, -velocity
        positions.append(position)
    return positions


def test_random_walk_matches_reference():
    rng = np.random.default_rng(0)
    for _ in range(20):
        position = rng.uniform(0, [72, 40], 2).astype(np.float32)
        velocity = rng.uniform(-15, 15, 2).astype(np.float32)
        kicks = rng.uniform(-15, 15, [60, 2]).astype(np.float32)
        walk = random_walk(
            tf.constant(position),
            tf.constant(velocity),
            tf.constant(kicks),
            tf.constant([72.0, 40.0]),
        )
        for axis, limit in enumerate([72.0, 40.0]):
            expected = reference_walk(
                position[axis], velocity[axis], kicks[:, axis], limit
            )
            np.testing.assert_allclose(walk[:, axis], expected, atol=1e-3)


def reference_bounces(position, drift, walk, kicks, limit, diameter):
    """Two balls of `bouncing_walk`, one coordinate at a time."""
    balls = range(2)
    parts = [drift.astype(float).copy(), walk.astype(float).copy()]
    position = position.astype(float).copy()
    path, collisions = [position.copy()], 0
    for kick in kicks:
        parts[1] = 0.9 * parts[1] + 0.1 * kick
        for _ in range(2):
            position += (parts[0] + parts[1]) / 2
            for ball, axis in itertools.product(balls, balls):
                if position[ball, axis] < 0:
                    position[ball, axis] *= -1
                elif position[ball, axis] > limit[axis]:
                    position[ball, axis] = 2 * limit[axis] - position[ball, axis]
                else:
                    continue
                for part in parts:
                    part[ball, axis] *= -1
            line = position[1] - position[0]
            distance = np.linalg.norm(line)
            line /= distance
            speeds = [part @ line for part in parts]
            if distance < diameter and sum(speeds)[0] > sum(speeds)[1]:
                collisions += 1
                for part, (first, second) in zip(parts, speeds, strict=True):
                    part[0] += (second - first) * line
                    part[1] += (first - second) * line
        path.append(position.copy())
    return path, collisions


def test_bouncing_walk_matches_reference():
    rng = np.random.default_rng(0)
    limit = np.array([72, 56], np.float32)

    def draw(low, high, *shape):
        return rng.uniform(low, high, [20, *shape, 2, 2]).astype(np.float32)

    position, kicks = draw(0, limit), draw(-15, 15, 39)
    drift, walk = draw(-5, 5), draw(-15, 15)
    paths = bouncing_walk(position, drift, walk, kicks, limit, diameter=28)
    assert paths.shape == (20, 40, 2, 2)
    collisions = []
    for path, *motion in zip(paths, position, drift, walk, kicks, strict=True):
        expected, count = reference_bounces(*motion, limit, diameter=28)
        collisions.append(count)
        # Balls amplify rounding errors when they collide.
        np.testing.assert_allclose(path, expected, atol=1e-2)
    assert np.count_nonzero(collisions) > 10


def test_balls_neither_leave_nor_stick_nor_gain_energy():
    limit = tf.constant([72.0, 72.0])
    position = tf.constant([[0.0, 0.0], [72.0, 72.0]])
    drift = tf.constant([[3.0, 4.0], [-2.0, 1.0]])
    path = bouncing_walk(
        position, drift, tf.zeros([2, 2]), tf.zeros([499, 2, 2]), limit, diameter=28
    ).numpy()
    assert path.min() >= 0 and path.max() <= 72
    # Half a step brings the balls at most 3.9 px too near, from then on they part.
    distance = np.linalg.norm(path[:, 0] - path[:, 1], axis=-1)
    assert distance.min() > 28 - 3.9 and (distance < 28).sum() > 5
    assert not np.any((distance[:-1] < 28) & (distance[1:] < distance[:-1]))
    inner = np.all((path > 5) & (path < 67), axis=(1, 2)) & (distance > 34)
    free = inner[:-1] & inner[1:]
    energy = np.square(np.diff(path, axis=0)).sum(axis=(1, 2))[free]
    np.testing.assert_allclose(energy, 3**2 + 4**2 + 2**2 + 1, rtol=1e-3)
