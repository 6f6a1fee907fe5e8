import types

import pytest
import tensorflow as tf

from ratm_tf.datasets import rate, throughput


@pytest.fixture
def clock(monkeypatch):
    """A clock of ours, for whose ticks the code under test has to wait."""
    clock = types.SimpleNamespace(now=100.0)
    time = types.SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr(rate, "time", time)
    return clock


def test_a_rate_counts_from_when_it_is_warm(clock):
    measured = rate.Rate(warm_up=10)
    for count in (3, 7, 12, 15, 20):
        assert measured.per_second is None or count > 15
        clock.now += 2.0
        measured.reached(count)
    assert measured.per_second == (20 - 12) / 4.0


@pytest.mark.parametrize("num_elements", [20, 1000])
def test_throughput_of_a_known_pace(num_elements, clock):
    def slowly():
        for index in range(200):
            clock.now += 0.005 if index > 90 else 1.0
            yield index

    # Elements are made one at a time, when they are asked for.
    dataset = types.SimpleNamespace(take=lambda count: first(slowly(), count))
    assert throughput(dataset, num_elements) == pytest.approx(
        1.0 if num_elements == 20 else 200
    )


def first(elements, count):
    for _, element in zip(range(count), elements, strict=False):
        yield element


def test_throughput_of_a_dataset():
    assert throughput(tf.data.Dataset.range(200), 1000) > 0


def test_too_short_a_dataset():
    with pytest.raises(ValueError, match="`num_elements` .* >= 1. Received: -1"):
        throughput(tf.data.Dataset.range(3), num_elements=-1)
    with pytest.raises(ValueError, match="more than the 10 elements .* Received: 3"):
        throughput(tf.data.Dataset.range(3))
