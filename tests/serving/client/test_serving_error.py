"""What clients raise."""

import pytest

from ratm_tf.serving import ServingError


@pytest.mark.parametrize(
    "error, answered, message",
    [
        (ServingError.no_answer("a:1", "why"), False, "No server answers at a:1: why"),
        (ServingError.too_late("a:1", 2.0), False, "a:1 did not answer within 2 s"),
        (ServingError.no_model("a:1", "m", "why"), True, "serves no model 'm': why"),
        (ServingError.no_signature("m", "s", "ba"), True, "no signature 's'.*: a, b"),
        (ServingError.refused("a:1", 400, "why"), True, "a:1 answered 400: why"),
    ],
)
def test_says_at_which_end_it_failed(error, answered, message):
    assert error.answered is answered
    with pytest.raises(RuntimeError, match=message):
        raise error
