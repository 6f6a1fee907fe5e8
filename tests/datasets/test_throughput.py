import time

import pytest
import tensorflow as tf

from ratm_tf.datasets import throughput


@pytest.mark.parametrize("num_elements", [20, 1000])
def test_throughput_of_a_known_pace(num_elements):
    def slowly():
        for index in range(200):
            time.sleep(0.005)
            yield index

    dataset = tf.data.Dataset.from_generator(
        slowly, output_signature=tf.TensorSpec([], tf.int32)
    )
    assert 20 < throughput(dataset, num_elements) <= 200


def test_too_short_a_dataset():
    with pytest.raises(ValueError, match="more than the 10 elements .* got 3"):
        throughput(tf.data.Dataset.range(3))
