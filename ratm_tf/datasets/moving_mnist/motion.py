"""How the digits of moving MNIST move."""

import functools

import tensorflow as tf
import tensorflow.experimental.numpy as tnp

MOMENTUM = 0.9


def random_walk(position, velocity, kicks, limit):
    """Walks with momentum between reflecting borders: one digit.

    Every step, `velocity = 0.9 * velocity + 0.1 * kick` and then
    `position = position + velocity`; a position beyond a border is mirrored
    at it and its velocity turned.

    Args:
        position: float tensor of shape [..., 2], where the walk starts, (x, y) in
            pixels, 0..`limit`.
        velocity: float tensor of shape [..., 2], pixels per step.
        kicks: float tensor of shape [..., T - 1, 2], T - 1 known statically. No
            velocity or kick may be larger than `limit`.
        limit: float tensor of shape [2], the borders are at 0 and at `limit`.

    Returns:
        Float tensor of shape [..., T, 2], the positions, the first one included.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets.moving_mnist.motion import random_walk
    >>> random_walk(
    ...     position=tf.constant([0.0, 9.0]),
    ...     velocity=tf.constant([1.0, 2.0]),
    ...     kicks=tf.constant([[1.0, 2.0]]),
    ...     limit=tf.constant([10.0, 10.0]),
    ... ).numpy()
    array([[0., 9.],
           [1., 9.]], dtype=float32)
    """
    positions = [position]
    for kick in tf.unstack(kicks, axis=-2):
        position, velocity = _walk((position, velocity), kick, limit)
        positions.append(position)
    return tf.stack(positions, axis=-2)


def foreseen_walk(position, velocity, kicks, limit):
    """Where `random_walk` is expected, a step ahead: where it goes without a kick.

    Args:
        position: as in `random_walk`, and so are the others.
        velocity: likewise.
        kicks: likewise.
        limit: likewise.

    Returns:
        Float tensor of shape [..., T, 2]: in every frame the position that follows from
        position and velocity in the frame before; in the first one `position`.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets.moving_mnist.motion import foreseen_walk
    >>> foreseen_walk(
    ...     position=tf.constant([0.0, 9.0]),
    ...     velocity=tf.constant([1.0, 2.0]),
    ...     kicks=tf.constant([[1.0, 2.0]]),
    ...     limit=tf.constant([10.0, 10.0]),
    ... ).numpy()
    array([[0. , 9. ],
           [0.9, 9.2]], dtype=float32)
    """
    step = functools.partial(_walk, limit=limit)
    return _foreseen(step, (position, velocity), kicks, len(kicks.shape) - 2)


def bouncing_walk(position, drift, walk, kicks, limit, diameter):
    """Moves two balls of equal mass that also walk at random: two digits.

    A ball's velocity is `drift + walk`. Every step, `walk = 0.9 * walk + 0.1 * kick`,
    as in `random_walk`, and then the balls move in two half-steps. After each, a
    position beyond a border is mirrored at it and its velocity turned, and balls that
    touch and approach each other exchange the velocities along their line of centres.
    Both are linear in the velocities, so drift and walk undergo them alike.

    Args:
        position: float tensor of shape [..., 2, 2], where the two balls start, each
            (x, y) in pixels, 0..`limit`.
        drift: float tensor of shape [..., 2, 2], pixels per step.
        walk: float tensor of shape [..., 2, 2], pixels per step.
        kicks: float tensor of shape [..., T - 1, 2, 2], T - 1 known statically.
        limit: float tensor of shape [2], the borders are at 0 and at `limit`. No ball
            may move farther in half a step.
        diameter: distance of the centres at which the balls touch, in pixels. They
            overlap for a moment where half a step takes them nearer.

    Returns:
        Float tensor of shape [..., T, 2, 2], the positions, the first ones included.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets.moving_mnist.motion import bouncing_walk
    >>> bouncing_walk(
    ...     position=tf.constant([[10.0, 5.0], [14.0, 5.0]]),
    ...     drift=tf.constant([[2.0, 0.0], [0.0, 0.0]]),
    ...     walk=tf.zeros([2, 2]),
    ...     kicks=tf.zeros([2, 2, 2]),
    ...     limit=tf.constant([20.0, 20.0]),
    ...     diameter=3.5,
    ... )[..., 0].numpy()
    array([[10., 14.],
           [11., 15.],
           [11., 17.]], dtype=float32)
    """

    def step(balls, kick):
        return _bounce(balls, kick, limit, diameter)

    time_axis = len(kicks.shape) - 3
    kicks = tnp.moveaxis(kicks, time_axis, 0)
    positions, _, _ = tf.scan(step, kicks, initializer=(position, drift, walk))
    positions = tf.concat([position[tf.newaxis], positions], axis=0)
    return tnp.moveaxis(positions, 0, time_axis)


def foreseen_bounces(position, drift, walk, kicks, limit, diameter):
    """Where `bouncing_walk` is expected, a step ahead: where it goes without kicks.

    Args:
        position: as in `bouncing_walk`, and so are the others.
        drift: likewise.
        walk: likewise.
        kicks: likewise.
        limit: likewise.
        diameter: likewise.

    Returns:
        Float tensor of shape [..., T, 2, 2]: in every frame the positions that follow
        from positions and velocities in the frame before; in the first one `position`.

    Example:
    >>> import tensorflow as tf
    >>> from ratm_tf.datasets.moving_mnist.motion import foreseen_bounces
    >>> foreseen_bounces(
    ...     position=tf.constant([[10.0, 5.0], [14.0, 5.0]]),
    ...     drift=tf.constant([[2.0, 0.0], [0.0, 0.0]]),
    ...     walk=tf.zeros([2, 2]),
    ...     kicks=tf.ones([1, 2, 2]),
    ...     limit=tf.constant([20.0, 20.0]),
    ...     diameter=3.5,
    ... )[..., 0].numpy()
    array([[10., 14.],
           [11., 15.]], dtype=float32)
    """
    step = functools.partial(_bounce, limit=limit, diameter=diameter)
    return _foreseen(step, (position, drift, walk), kicks, len(kicks.shape) - 3)


def _foreseen(step, state, kicks, time_axis):
    """The positions that `step` leads to from each state, without its kick."""

    def ahead(carried, kick):
        state, _ = carried
        position, *_ = step(state, tf.zeros_like(kick))
        return step(state, kick), position

    position = state[0]
    kicks = tnp.moveaxis(kicks, time_axis, 0)
    _, positions = tf.scan(ahead, kicks, initializer=(state, position))
    positions = tf.concat([position[tf.newaxis], positions], axis=0)
    return tnp.moveaxis(positions, 0, time_axis)


def _walk(state, kick, limit):
    """A step of a digit: its position and velocity after `kick`."""
    position, velocity = state
    velocity = MOMENTUM * velocity + (1 - MOMENTUM) * kick
    moved = position + velocity
    position = _mirror(moved, limit)
    return position, tf.where(position == moved, velocity, -velocity)


def _bounce(state, kick, limit, diameter):
    """A step of two balls: their positions, drift and walk after `kick`."""
    position, drift, walk = state
    walk = MOMENTUM * walk + (1 - MOMENTUM) * kick
    for _ in range(2):
        moved = position + (drift + walk) / 2
        position = _mirror(moved, limit)
        drift, walk = (
            tf.where(position == moved, part, -part) for part in (drift, walk)
        )
        drift, walk = _collide(position, drift, walk, diameter)
    return position, drift, walk


def _mirror(moved, limit):
    return tf.minimum(tf.abs(moved), 2 * limit - tf.abs(moved))


def _collide(position, drift, walk, diameter):
    apart = position[..., 1, :] - position[..., 0, :]
    squared = tf.reduce_sum(apart**2, axis=-1, keepdims=True)
    # How fast a part of the velocities brings the balls nearer.
    approach = [
        tf.reduce_sum((part[..., 0, :] - part[..., 1, :]) * apart, -1, keepdims=True)
        for part in (drift, walk)
    ]
    touch = (squared < diameter**2) & (approach[0] + approach[1] > 0)
    line = tf.where(touch, apart / squared, 0.0)
    line = tf.stack([-line, line], axis=-2)
    return [
        part + speed[..., tf.newaxis] * line
        for part, speed in zip((drift, walk), approach, strict=True)
    ]
