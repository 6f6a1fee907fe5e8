"""README's examples run as they stand, one after the other."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_python_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(examples) >= 4
    names = {}
    for example in examples:
        exec(example, names)
    assert (tmp_path / "tracker.keras").exists()
    assert names["boxes"].shape == (1, 30, 4) and names["ok"]
