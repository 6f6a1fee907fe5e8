"""The published simulation of bouncing balls, for many boxes of balls at once."""

import itertools

import tensorflow as tf
import tensorflow.experimental.numpy as tnp

RADIUS = 1.2
BOX_SIZE = 10.0
SPEED = 0.5
STEPS_PER_FRAME = 2


def draw_balls(
    position_key,
    direction_key,
    num_balls,
    *,
    radius=RADIUS,
    box_size=BOX_SIZE,
    speed=SPEED,
):
    """Draws where the balls of one box start, and how fast.

    Positions are uniform in the box among those without overlap. The velocities of all
    balls together are a vector of random direction and of length `speed`, as in the
    published simulation: a single ball moves by `speed` a frame, more balls share it.

    Args:
        position_key: int64 tensor of shape [2], the seed of the positions.
        direction_key: int64 tensor of shape [2], the seed of the velocities.
        num_balls: number of balls K; they must fit easily.
        radius: of every ball, in the unit of the box.
        box_size: side of the box, or its (width, height).
        speed: length of all velocities together, per frame.

    Returns:
        A pair of float32 tensors of shape [K, 2]: the positions (x, y) of the centres,
        and their velocities.

    Example:
    >>> from ratm_tf.datasets.bouncing_balls.simulation import draw_balls
    >>> keys = tf.constant([[0, 1], [0, 2]], tf.int64)
    >>> positions, velocities = draw_balls(*keys, num_balls=1)
    >>> positions.shape, round(float(tf.norm(velocities)), 3)
    (TensorShape([1, 2]), 0.5)
    """
    room = tf.cast(box_size, tf.float32) - 2 * radius

    def place(attempt, positions):
        del positions
        uniform = tf.random.stateless_uniform(
            [num_balls, 2],
            tf.random.fold_in(position_key, attempt, alg="philox"),
            alg="philox",
        )
        return attempt + 1, radius + uniform * room

    attempt, positions = place(tf.constant(1, tf.int64), None)
    if num_balls > 1:
        _, positions = tf.while_loop(
            lambda _, positions: _overlap(positions, radius),
            place,
            (attempt, positions),
        )
    directions = tf.random.stateless_normal([num_balls, 2], direction_key, alg="philox")
    return positions, speed * directions / _norm(tf.reshape(directions, [-1]))


def simulate(
    positions,
    velocities,
    num_frames,
    *,
    radius=RADIUS,
    box_size=BOX_SIZE,
):
    """Lets balls of equal mass bounce off the walls of their box and off each other.

    Each frame takes two half-steps. After each, a ball beyond a wall turns its velocity
    towards the inside, and two balls that overlap exchange their velocity components
    along the line of their centres. Leading dimensions, if any, are boxes of their own.

    Args:
        positions: float tensor of shape [..., K, 2], the centres (x, y) in the first
            frame; the box reaches from 0 to `box_size`.
        velocities: float tensor of shape [..., K, 2], per frame.
        num_frames: number of frames T.
        radius: of every ball, in the unit of the box.
        box_size: side of the box, or its (width, height).

    Returns:
        Float tensor of shape [..., T, K, 2], the centres in every frame. They pass the
        walls by as much as half a step.

    Example:
    >>> from ratm_tf.datasets.bouncing_balls.simulation import simulate
    >>> simulate([[5.0, 5.0]], [[0.5, 0.0]], num_frames=3)[:, 0].numpy()
    array([[5. , 5. ],
           [5.5, 5. ],
           [6. , 5. ]], dtype=float32)
    """
    positions = tf.convert_to_tensor(positions)
    velocities = tf.convert_to_tensor(velocities, positions.dtype)
    box_size = tf.cast(box_size, positions.dtype)
    time_axis = len(positions.shape) - 2

    def frame(index, positions, velocities, trajectory):
        trajectory = trajectory.write(index, positions)
        for _ in range(STEPS_PER_FRAME):
            positions += velocities / STEPS_PER_FRAME
            velocities = _bounce_off_walls(positions, velocities, radius, box_size)
            velocities = _bounce_off_balls(positions, velocities, radius)
        return index + 1, positions, velocities, trajectory

    last = num_frames - 1
    trajectory = tf.TensorArray(
        positions.dtype, num_frames, element_shape=positions.shape
    )
    _, positions, _, trajectory = tf.while_loop(
        lambda index, *_: index < last, frame, (0, positions, velocities, trajectory)
    )
    trajectory = trajectory.write(last, positions).stack()
    trajectory = tf.ensure_shape(trajectory, [num_frames, *positions.shape])
    return tnp.moveaxis(trajectory, 0, time_axis)


def _bounce_off_walls(positions, velocities, radius, box_size):
    velocities = tf.where(positions < radius, tf.abs(velocities), velocities)
    beyond = positions > box_size - radius
    return tf.where(beyond, -tf.abs(velocities), velocities)


def _bounce_off_balls(positions, velocities, radius):
    balls = positions.shape[-2]
    if balls == 1:
        return velocities
    positions = tf.unstack(positions, axis=-2)
    velocities = tf.unstack(velocities, axis=-2)
    for i, j in itertools.combinations(range(balls), 2):
        line = positions[i] - positions[j]
        distance = _norm(line)
        line = tf.math.divide_no_nan(line, distance)
        exchanged = line * tf.reduce_sum(
            (velocities[j] - velocities[i]) * line, axis=-1, keepdims=True
        )
        exchanged = tf.where(distance < 2 * radius, exchanged, 0)
        velocities[i] += exchanged
        velocities[j] -= exchanged
    return tf.stack(velocities, axis=-2)


def _overlap(positions, radius):
    pairs = itertools.combinations(tf.unstack(positions, axis=-2), 2)
    overlaps = [_norm(one - other)[..., 0] < 2 * radius for one, other in pairs]
    return tf.reduce_any(overlaps)


def _norm(vector):
    return tf.sqrt(tf.reduce_sum(tf.square(vector), axis=-1, keepdims=True))
