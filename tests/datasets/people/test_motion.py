import numpy as np

from ratm_tf.datasets.people.motion import cross

FRAME_SIZE = (120, 160)


def draw(seed, num_frames=40):
    return cross(np.random.default_rng(seed), num_frames, FRAME_SIZE)


def test_longer_videos_begin_alike():
    for seed in range(20):
        short, long = draw(seed, 7), draw(seed)
        for ours, theirs in zip(short[:5], long[:5], strict=True):
            np.testing.assert_array_equal(ours, theirs[:7])
        assert short[5:] == long[5:]


def test_people_have_the_speeds_and_strides_of_walking_to_running():
    motions = [draw(seed) for seed in range(300)]
    straight = [m for m in motions if np.all(m.facing == m.facing[0])]
    assert 0.8 < len(straight) / len(motions) < 0.99
    speeds = np.array([abs(m.hip[-1] - m.hip[0]) / 39 / m.height[0] for m in straight])
    assert 0.01 < speeds.min() < 0.025 and 0.08 < speeds.max() < 0.12
    strides = np.array([1 / np.diff(m.phase).mean() for m in motions])
    assert 14 <= strides.min() and strides.max() <= 32
    for motion in motions:
        assert set(np.unique(motion.facing)) <= {-1, 1}
        np.testing.assert_allclose(np.diff(motion.phase), np.diff(motion.phase)[0])


def test_people_face_where_they_go():
    for seed in range(100):
        motion = draw(seed)
        moved = np.sign(np.diff(motion.hip))
        # They sway a little, by less than they walk.
        agree = moved == motion.facing[1:]
        assert agree.mean() > 0.9


def test_people_stand_in_the_view():
    for seed in range(100):
        motion = draw(seed)
        assert 0.38 * 120 <= motion.height[0] <= 0.87 * 120
        middle = motion.feet[0] - motion.height[0] / 2
        assert 0 < middle < 120
        assert 0.2 <= motion.spread <= 0.7 and 0 <= motion.lean <= 0.14
