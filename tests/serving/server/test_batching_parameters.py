"""The file that says how requests of several clients run as one."""

import pytest

from ratm_tf import serving
from ratm_tf.serving.server.batching_parameters import write_batching_parameters

PARAMETERS = {
    "max_batch_size": 4,
    "batch_timeout_micros": 2_000_000,
    "max_enqueued_batches": 10,
    "num_batch_threads": 1,
}
GOOD = "\n".join(f"{name} {{ value: {value} }}" for name, value in PARAMETERS.items())


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"expected all of .*Received: \[\]"),
        (GOOD + "\nmax_batch_size { value: 4 }", "line 5: expected one of"),
        (GOOD + "\npad_variable_length_inputs: true", "pad_variable_length_inputs"),
        ("max_batch_size { value: many }", "line 1"),
    ],
)
def test_other_files(text, message, tmp_path):
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        serving.read_batching_parameters(path)


def test_file_with_comments(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text("# Measured.\n\n" + GOOD.replace(" {", ": {"))
    assert serving.read_batching_parameters(path) == PARAMETERS


def test_reads_what_is_written(tmp_path):
    path = tmp_path / "batching.config"
    write_batching_parameters(path, PARAMETERS)
    assert serving.read_batching_parameters(path) == PARAMETERS
