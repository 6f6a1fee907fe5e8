"""Prints where each paper preset is not the paper's, as RESULTS has it.

python -m ratm_tf.recipes
"""

from ratm_tf import recipes

PRESETS = {
    "balls": recipes.bouncing_balls("all", "paper"),
    "balls, last": recipes.bouncing_balls("last", "paper"),
    "one digit": recipes.moving_mnist(1, "paper"),
    "two digits": recipes.moving_mnist(2, "paper"),
    "KTH": recipes.people("kth", "paper"),
    "people": recipes.people("people", "paper"),
}


def deviations():
    """The lines of a table in Markdown: field, presets, value, and where it is from."""
    presets = {}
    for preset, recipe in PRESETS.items():
        for field, source in recipe.deviations.items():
            value = getattr(recipe, field)
            row = f"`{field}`", f"`{value}`", source
            presets.setdefault(row, []).append(preset)
    yield "| field | presets | value | from |"
    yield "|---|---|---|---|"
    for (field, value, source), names in sorted(presets.items()):
        yield f"| {field} | {'; '.join(names)} | {value} | {source} |"


if __name__ == "__main__":
    print("\n".join(deviations()))
