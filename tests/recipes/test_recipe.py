"""What holds for every recipe."""

import dataclasses
import json

import numpy as np
import pytest

from ratm_tf import recipes
from ratm_tf.recipes.recipe import From, from_table

PAPER = {
    "balls, last": recipes.bouncing_balls("last", "paper"),
    "balls, all": recipes.bouncing_balls("all", "paper"),
    "one digit": recipes.moving_mnist(1, "paper"),
    "two digits": recipes.moving_mnist(2, "paper"),
    "people": recipes.people("people", "paper"),
    "KTH": recipes.people("kth", "paper", test_subject=3),
}
FAST = [
    recipes.bouncing_balls(),
    recipes.moving_mnist(),
    recipes.moving_mnist(2),
    recipes.people(),
]


@pytest.mark.parametrize("recipe", PAPER.values(), ids=PAPER.keys())
def test_every_field_of_a_paper_preset_says_where_it_is_from(recipe):
    fields = {field.name for field in dataclasses.fields(recipe)}
    assert set(recipe.sources) == fields - {"preset", "sources"}
    for source in recipe.sources.values():
        assert source.startswith(("section 6.", "Eq. ", "the authors' code", "ours: "))


def test_a_changed_field_is_the_callers():
    recipe = recipes.moving_mnist(preset="paper", learning_rate=0.5)
    assert recipe.learning_rate == 0.5 and "learning_rate" not in recipe.sources


@pytest.mark.parametrize("recipe", [*PAPER.values(), *FAST], ids=repr)
def test_a_recipe_is_json(recipe):
    fields = json.loads(json.dumps(recipe.as_dict()))
    assert fields["preset"] == recipe.preset and "sources" not in fields
    assert {"steps", "losses", "learning_rate", "test_sequences"} <= fields.keys()


@pytest.mark.parametrize(
    ("warmup_steps", "expected"),
    [
        (0, [2.0, 1.5, 0.5, 0.0]),
        (30, [0.0, 2.0, 1.0, 0.0]),
        (90, [0.0, 4 / 3, 1.5, 0.0]),
    ],
)
def test_a_rate_warms_up_and_decays(warmup_steps, expected):
    recipe = recipes.moving_mnist(
        learning_rate=2.0, steps=90, warmup_steps=warmup_steps
    )
    optimizer = recipe._optimizer()
    rates = []
    for step in (0, 30, 60, 90):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, expected, atol=1e-6)


@pytest.mark.parametrize("recipe", FAST, ids=lambda recipe: type(recipe).__name__)
def test_misspelt_fields_are_errors(recipe):
    with pytest.raises(TypeError, match="learning_rat"):
        dataclasses.replace(recipe, learning_rat=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.steps = 1


def test_a_table_must_be_whole():
    with pytest.raises(TypeError, match="units"):
        from_table(recipes.MovingMNISTRecipe, "mine", {"digits": From(1, "ours: one")})


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (recipes.moving_mnist, {"digits": 3}, "`digits`.*3"),
        (recipes.moving_mnist, {"preset": "slow"}, "`preset`.*fast.*paper.*'slow'"),
        (recipes.bouncing_balls, {"penalty": "first"}, "`penalty`.*'first'"),
        (recipes.people, {"dataset": "otb"}, "`dataset`.*'otb'"),
    ],
)
def test_what_there_is_not_is_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(**arguments)
