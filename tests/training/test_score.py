"""Scores: how sure a tracker is, and whether that is so."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ratm_tf
from ratm_tf.training import fit_score, score_network
from ratm_tf.training.score import _calibrate, _unpacked, scored_hits


def balls(split, num_sequences):
    return ratm_tf.datasets.bouncing_balls_sequences(
        split, num_frames=16, num_sequences=num_sequences, batch_size=32
    ).map(ratm_tf.labelled)


@pytest.fixture(scope="module")
def tracker():
    return ratm_tf.load_pretrained("bouncing_balls")


@pytest.fixture(scope="module")
def scored(tracker):
    return fit_score(tracker, balls("train", 160), epochs=8, verbose=0)


def judged(tracker, data):
    """Hits and scores of all batches."""
    each = []
    for batch in data:
        inputs, boxes, counts = _unpacked(batch)
        each.append(scored_hits(tracker(inputs, training=False), boxes, counts))
    return map(np.concatenate, zip(*each, strict=True))


def auc(hits, scores):
    """The part of pairs of a hit and a miss of which the hit scores higher."""
    higher = scores[hits][:, None] - scores[~hits]
    return np.mean((higher > 0) + 0.5 * (higher == 0))


def test_tells_hits_from_misses(scored):
    hits, scores = judged(scored, balls("test", 160))
    assert 0.5 < hits.mean() < 0.99
    assert auc(hits, scores) > 0.95
    # Scores of 0..1 come true as often as they say.
    for low, high in ((0.0, 0.5), (0.5, 1.0)):
        chosen = (scores >= low) & (scores <= high)
        assert hits[chosen].mean() == pytest.approx(scores[chosen].mean(), abs=0.1)


def test_the_boxes_stay_and_the_target_that_goes_is_missed(tracker, scored):
    inputs, _ = next(iter(balls("test", 32)))
    before, after = tracker(inputs), scored(inputs)
    np.testing.assert_array_equal(before["boxes"], after["boxes"])
    assert after["scores"].shape == (32, 16)
    gone = inputs["frames"].numpy()
    gone[:, 8:] = 0
    scores = scored({"frames": gone})["scores"].numpy()
    assert scores[:, 4:8].mean() > 0.8 and scores[:, 8:].max() < 0.1


def test_is_saved_and_streams_with_the_tracker(scored, tmp_path):
    scored.save(tmp_path / "scored.keras")
    loaded = keras.saving.load_model(tmp_path / "scored.keras")
    assert not loaded.score.trainable
    inputs, _ = next(iter(balls("test", 1)))
    expected = scored(inputs)["scores"]
    np.testing.assert_allclose(loaded(inputs)["scores"], expected, atol=1e-6)
    states = loaded.initial_state(1, (20, 20))
    for index in range(16):
        outputs, states = loaded.step(inputs["frames"][:, index], states)
        np.testing.assert_allclose(outputs["scores"], expected[:, index], atol=1e-3)
    # It takes no part in what the tracker learns.
    loaded.compile("sgd", {"boxes": "mse"})
    kept = loaded.score.get_weights()
    loaded.fit(balls("train", 32), verbose=0)
    for weights, before in zip(loaded.score.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(weights, before)


def test_frames_without_weight_do_not_count(scored):
    inputs, labels = next(iter(balls("test", 32)))
    weights = np.zeros([32, 16], np.float32)
    weights[:, :3] = 1
    data = tf.data.Dataset.from_tensors((inputs, labels, weights))
    hits, scores = judged(scored, data)
    assert hits.shape == scores.shape == (32 * 3,)
    np.testing.assert_allclose(
        scores, scored(inputs)["scores"].numpy()[:, :3].ravel(), atol=1e-6
    )


def test_calibration_is_a_logistic_regression():
    random = np.random.default_rng(0)
    logits = 6 * random.normal(size=50_000)
    hits = random.random(50_000) < 1 / (1 + np.exp(-(logits / 3 - 0.5)))
    network = score_network((2, 2, 1), units=3)
    layer = network.layers[-1]
    kernel, bias = layer.kernel.numpy(), 0.7
    layer.bias.assign([bias])
    _calibrate(layer, 1 / (1 + np.exp(-logits)), hits)
    np.testing.assert_allclose(layer.kernel, kernel / 3, rtol=0.05)
    np.testing.assert_allclose(layer.bias, [bias / 3 - 0.5], atol=0.05)


def test_data_that_cannot_be(tracker):
    with pytest.raises(ValueError, match="at least 5 batches. Received: 4"):
        fit_score(tracker, balls("train", 128))
    nowhere = balls("train", 160).map(lambda x, y: (x, {"boxes": y["boxes"] + 1000}))
    with pytest.raises(ValueError, match="windows are on their targets.*: 0% of"):
        fit_score(tracker, nowhere)
