import keras
import numpy as np

import ratm_tf
from ratm_tf.objectives import WeightPenalty


def test_is_the_mean_of_squares_of_each_matrix():
    cell = ratm_tf.RATMCell(4, (3, 3), kernel_regularizer=WeightPenalty(0.2))
    cell.build([None, 9, 9, 1])
    matrices = [cell.recurrent_cell.kernel, cell.window.kernel]
    expected = [0.2 * np.mean(np.square(matrix)) for matrix in matrices]
    assert cell.losses, "the cell has a penalty"
    np.testing.assert_allclose(sorted(cell.losses), sorted(expected), rtol=1e-6)


def test_round_trips(tmp_path):
    cell = ratm_tf.RATMCell(4, (3, 3), kernel_regularizer=WeightPenalty(0.2))
    tracker = ratm_tf.Tracker(cell)
    tracker.build({"frames": (None, None, 9, 9, 1)})
    tracker.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(restored.losses, tracker.losses)
