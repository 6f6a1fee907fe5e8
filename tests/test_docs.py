"""The examples of README and of the pages run as they stand, one after the other.

Notebooks run as the site is built.
"""

import pathlib
import re

import pytest

import ratm_tf

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
# What would take minutes is done for moments.
SHORTENED = {
    "steps_per_epoch=100, epochs=3": "steps_per_epoch=2, epochs=1",
    "steps=50": "steps=2, train_frames=2, test_frames=2",
    "test_sequences=100": "test_sequences=4",
    "repeat=15": "repeat=1",
}
TESTED_ALONE = {"own_videos", "tracking"}  # by tests of their names
SLOW = {"README", "tracker", "works_with"}
PAGES = [
    pytest.param(path, marks=[pytest.mark.slow] * (path.stem in SLOW), id=path.stem)
    for path in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
    if "```python" in path.read_text() and path.stem not in TESTED_ALONE
]


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": __name__}
    text = page.read_text()
    for found in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        example = found[1]
        for long, short in SHORTENED.items():
            example = example.replace(long, short)
        lines = "\n" * text.count("\n", 0, found.start(1))  # as in the page
        exec(compile(lines + example, str(page), "exec"), names)


def test_reference_has_all_that_is_public():
    pages = "".join(page.read_text() for page in DOCS.glob("reference/*.md"))
    shown = {name.rpartition(".")[2] for name in re.findall(r"::: (\S+)", pages)}
    elsewhere = {"PRESETS", "iou"}  # the page of packaged models; ratm_tf.boxes
    for name in ratm_tf.__all__:
        listed = getattr(getattr(ratm_tf, name), "__all__", [name])
        assert set(listed) <= shown | elsewhere
