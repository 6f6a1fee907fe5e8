import numpy as np

from ratm_tf.datasets.cutouts.motion import Camera, drift, fold, rotations, wander


def test_wander_has_the_variance_and_the_smoothness_that_it_says():
    noise = wander(np.random.default_rng(0), 20_000, 0.8, 2)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.05)
    kept = (noise[1:] * noise[:-1]).sum(axis=0) / (noise**2).sum(axis=0)
    np.testing.assert_allclose(kept, 0.8, atol=0.02)


def test_drifts_begin_at_nothing_and_stay_within():
    for seed in range(10):
        path = drift(np.random.default_rng(seed), 300, 0.05, -0.3, 0.2)
        assert path[0] == 0
        assert path.min() >= -0.3 and path.max() <= 0.2
        assert path.max() - path.min() > 0.3
        assert np.abs(np.diff(path)).max() < 0.25


def test_folding_keeps_steps_and_what_is_within():
    path = np.array([[3.0, 0.0], [4.0, -1.0], [5.0, -6.0]])
    folded = fold(path, np.array([0, -5]), np.array([4, 5]))
    np.testing.assert_allclose(folded, [[3, 0], [4, -1], [3, -4]])


def test_cameras_turn_about_what_they_look_at():
    """Near things move with the camera by more than far ones, all the same at first."""
    linear = rotations(np.array([0, np.pi / 2]), np.array([1.0, 2.0]))
    camera = Camera(linear, np.array([[10.0, 10], [13, 10]]), np.array([50.0, 40]))
    points = np.array([[11.0, 10], [14, 10]])
    np.testing.assert_allclose(camera.project(points), [[51, 40], [50, 42]])
    far = camera.project(points, nearness=0.5)
    np.testing.assert_allclose(far, [[51, 40], [50, 45]])
