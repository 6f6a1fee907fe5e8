"""What the site has beside the pages of this folder, made as it is built.

README and its kin are pages of the site too, the packaged models' page is made from
their table, and docstrings get what Markdown needs. `mkdocs.yml` names this file.
"""

import pathlib
import re
import textwrap

import griffe
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]

# Pages by the files at home elsewhere in the project.
ELSEWHERE = {
    "index.md": "README.md",
    "RESULTS.md": "experiments/RESULTS.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
    "LICENSE.md": "LICENSE",
    "NOTICE.md": "NOTICE",
}


def on_files(files, config):
    """Adds the pages that lie elsewhere, and the one of the packaged models."""
    for page, path in ELSEWHERE.items():
        text = (ROOT / path).read_text()
        if not path.endswith(".md"):
            text = f"# {path.capitalize()}\n\n```text\n{text}```\n"
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "presets.md", content=presets()))
    return files


def on_page_markdown(markdown, page, **_):
    """Points links at the pages of the site."""
    if "/" in page.file.src_uri:
        return markdown
    markdown = re.sub(r"\]\((\.\./)?(docs/|experiments/(?=RESULTS))?", "](", markdown)
    return re.sub(r"\]\((LICENSE|NOTICE)\)", r"](\1.md)", markdown)


def on_page_content(html, **_):
    """Leaves out what libraries log while a notebook runs."""
    logged = r'<div [^>]*data-mime-type="application/vnd.jupyter.stderr"[^>]*>.*?</div>'
    return re.sub(logged, "", html, flags=re.DOTALL)


def presets():
    """The page of the packaged models, from their table."""
    from ratm_tf.pretrained import PRESETS

    lines = [
        "# Packaged models",
        "",
        "`ratm_tf.load_pretrained(name)` loads one; in commands it is "
        "`pretrained:name`. Figures are in percent: corner IoU of trackers on the "
        "test sequences that `ratm-tf evaluate` takes by default. This page is made "
        "from `ratm_tf.pretrained.PRESETS`; the models are under the licence of the "
        "package, [Apache-2.0](LICENSE.md).",
    ]
    for preset in PRESETS.values():
        figures = ", ".join(f"{name} **{x}**" for name, x in preset.figures.items())
        lines += [
            "",
            f"## {preset.name}",
            "",
            preset.description,
            "",
            f"- Follows the paper in {preset.follows}",
            f"- Differs: {preset.differs}",
            f"- Data, and its terms: {preset.data}",
            f"- Figures: {figures}",
            f"- Trained by `python experiments/{preset.command}`",
            f"- File: {preset.size / 1e3:,.0f} kB",
        ]
    return "\n".join(lines) + "\n"


class Docstrings(griffe.Extension):
    """Fences the examples of docstrings, and lists the arguments of calls."""

    def on_object(self, *, obj, **_):
        """Rewrites the docstring of a module, class or function."""
        if obj.docstring:
            obj.docstring.value = _markdown(obj.docstring.value)


def _markdown(text):
    text = re.sub(r"(?m)^Example:\n", "**Example**\n\n", text)
    text = re.sub(
        r"(?m)^(Call arguments|Returns|Yields):\n((?:(?:    .*)?(?:\n|$))+)",
        lambda found: f"**{found[1]}**\n\n{_listed(found[2])}\n\n",
        text,
    )
    return re.sub(r"(?m)((?:^>>> .*\n?)(?:^.+\n?)*)", "```pycon\n\\1\n```\n", text)


def _listed(block):
    """Turns lines `name: what it is` into items of a list."""
    lines = textwrap.dedent(block).strip().splitlines()
    listed = [re.sub(r"^( *)`?(\w+)`?: ", r"\n\1- `\2`: ", line) for line in lines]
    return re.sub(r"(?m)^    (?=- )", "", "\n".join(listed))
