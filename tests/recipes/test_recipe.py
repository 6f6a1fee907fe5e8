"""What holds for every recipe."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

import ratm_tf
from ratm_tf import recipes
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH
from ratm_tf.recipes.__main__ import deviations
from ratm_tf.recipes.recipe import From, from_table
from tests.recipes import reference

ROOT = pathlib.Path(__file__).parents[2]
DATASETS = pathlib.Path(ratm_tf.__file__).parent / "datasets"
PEOPLE = str(DATASETS / "people" / "dummy_data" / "PennFudanPed")

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
    recipes.videos("videos"),
]


@pytest.mark.parametrize("recipe", PAPER.values(), ids=PAPER.keys())
def test_every_field_of_a_paper_preset_says_where_it_is_from(recipe):
    fields = {field.name for field in dataclasses.fields(recipe)}
    assert set(recipe.sources) == fields - {"preset", "sources"}
    for source in recipe.sources.values():
        assert source.startswith(("section ", "Eq. ", "the authors' code", "ours: "))


def test_results_lists_what_is_not_the_papers():
    results = (ROOT / "experiments" / "RESULTS.md").read_text()
    assert "\n".join(deviations()) in results
    listed = PAPER["KTH"].deviations
    assert "the paper has Eq. 5" in listed["window_update"]
    assert "units" not in listed


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


def test_builds_what_the_fields_say():
    recipe = recipes.bouncing_balls(
        recurrent_cell="irnn",
        units=7,
        recurrent_scale=0.5,
        use_bias=False,
        glimpse_size=(4, 6),
        window_update="relative",
        sees_window=True,
        scales=(1.0, 2.0),
        initial_sigma=2.5,
        brightness=0.25,
        box="corner",
        box_scale=1.5,
        losses={"boxes": "localization", "glimpses": "pixels"},
        loss_weights={"boxes": 2.0, "glimpses": 3.0},
        learning_rate=0.5,
        clipnorm=0.25,
        steps=400,
    )
    tracker = recipe.build(implementation="tf").tracker
    cell, optimizer = tracker.cell, tracker.optimizer
    assert tracker.box == "corner" and tracker.box_scale == 1.5
    assert cell.units == 7 and cell.glimpse_size == (4, 6)
    np.testing.assert_array_equal(
        cell.recurrent_cell.recurrent_kernel, np.eye(7) * np.float32(0.5)
    )
    assert not cell.recurrent_cell.use_bias
    assert cell.window_update == "relative" and cell.sees_window
    assert cell.scales == (1.0, 2.0)
    np.testing.assert_array_equal(cell.window_bias, [0, 0, 2.5, 2.5, 1, 1])
    assert cell.features.mean == 0.25 and cell.implementation == "tf"
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert optimizer.global_clipnorm == 0.25
    rates = [float(optimizer._learning_rate(step)) for step in (0, 200, 400)]
    np.testing.assert_allclose(rates, [0.5, 0.25, 0.0], atol=1e-6)
    compiled = tracker.get_compile_config()
    assert compiled["loss_weights"] == {"boxes": 2.0, "glimpses": 3.0}
    losses = {name: loss["config"] for name, loss in compiled["loss"].items()}
    assert losses["boxes"]["frame_size"] == (20, 20)
    reductions = [config["reduction"] for config in losses.values()]
    assert reductions == ["mean_with_sample_weight"] * 2

    keeps = dataclasses.replace(recipe, decay="constant", recurrent_cell="gru+irnn")
    tracker = keeps.build().tracker
    assert float(tracker.optimizer.learning_rate) == 0.5
    kinds = [type(cell).__name__ for cell in tracker.cell.recurrent_cell.cells]
    assert kinds == ["GRUCell", "IRNNCell"]


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


def one_step(recipe, loss):
    """Compares a step of SGD with the slope of a NumPy loss along it.

    Args:
        recipe: a paper preset.
        loss: function of an experiment and a batch of it that returns a NumPy loss of
            weights by name.
    """
    # A whole step, large enough to be seen in float32 weights.
    changes = {"clipnorm": 1e9, "learning_rate": 1.0, "batch_size": 2}
    recipe = dataclasses.replace(recipe, **changes)
    keras.utils.set_random_seed(4)
    experiment = recipe.build(seed=2)
    cell = experiment.tracker.cell
    names = {
        "kernel": cell.recurrent_cell.kernel,
        "recurrent_kernel": cell.recurrent_cell.recurrent_kernel,
        "window": cell.window.kernel,
        "window_bias": cell.window_bias,
    }
    names = {name: each for name, each in names.items() if each.trainable}
    assert len(experiment.tracker.trainable_weights) == len(names)
    # No unit of an identity is just at the bend of its rectifier.
    recurrent = names["recurrent_kernel"]
    recurrent.assign_add(keras.random.normal(recurrent.shape, stddev=0.01, seed=1))
    before = {name: each.numpy().astype(np.float64) for name, each in names.items()}
    batch = experiment.sequences(0).take(1)
    judged = loss(experiment, next(iter(batch)))
    found = experiment.tracker.evaluate(batch, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(judged(before), rel=1e-4)

    experiment.tracker.fit(batch, steps_per_epoch=1, verbose=0)
    for name, weight in names.items():
        step = weight.numpy() - before[name]
        length = np.linalg.norm(step)
        assert length > 0, name
        ahead, behind = (
            judged(before | {name: before[name] + sign * 1e-7 * step / length})
            for sign in (1, -1)
        )
        slope = (ahead - behind) / 2e-7
        assert length == pytest.approx(-slope, rel=1e-3), name


@pytest.mark.parametrize("penalty", ["last", "all"])
def test_a_step_of_balls_follows_a_numpy_loss(penalty):
    """Eq. 13 and 14, added up over a glimpse's pixels."""
    recipe = recipes.bouncing_balls(
        penalty, "paper", train_frames=4, first_frames=4, units=6
    )

    def loss(experiment, batch):
        inputs, labels, weights = batch
        frames = inputs["frames"].numpy()
        first = reference.raw_window(inputs["initial_box"], (20, 20), (5, 5))
        counted = slice(3, 4) if penalty == "last" else slice(0, 4)

        def judged(weights):
            _, glimpses = reference.tracked(
                weights, frames, first, (5, 5), lambda glimpse: glimpse.reshape(2, -1)
            )
            error = (glimpses - labels["glimpses"].numpy()) ** 2
            return error.sum(axis=(2, 3, 4))[:, counted].mean()

        return judged

    one_step(recipe, loss)


@pytest.mark.parametrize("digits", [1, 2])
def test_a_step_of_digits_follows_a_numpy_loss(digits):
    """Eq. 13 added over ten class probabilities, Eq. 16 of centres, over ten frames."""
    recipe = recipes.moving_mnist(
        digits, "paper", mnist_path=str(SAMPLE_PATH), units=6, train_frames=4
    )

    def loss(experiment, batch):
        inputs, labels = batch
        frames = inputs["frames"].numpy()
        classify = reference.in_float64(
            experiment.tracker.objectives["class_probabilities"]
        )
        true = np.asarray(labels["boxes"], np.float64)
        centers = reference.raw_window(true, (100, 100), (28, 28))[..., :2]
        if digits == 2:
            box = inputs["initial_box"]
            first = reference.raw_window(box, (100, 100), (28, 28))

        def judged(weights):
            start = first if digits == 2 else np.tile(weights["window_bias"], [2, 1])
            windows, glimpses = reference.tracked(
                weights, frames, start, (28, 28), lambda each: each.reshape(2, -1)
            )
            seen = classify(glimpses.reshape(8, 28, 28, 1)).reshape(2, 4, 10)
            wrong = ((seen - labels["class_probabilities"].numpy()) ** 2).sum(axis=-1)
            far = ((windows[..., :2] - centers) ** 2).mean(axis=-1)
            return 10 * (wrong + far).mean()  # as much as the sum over ten frames

        return judged

    one_step(recipe, loss)


def test_a_step_of_people_follows_a_numpy_loss():
    """Eq. 15 of hidden features, and Eq. 18 as the authors' code has it."""
    recipe = recipes.people(
        preset="paper",
        pennfudan_path=PEOPLE,
        train_sequences=4,
        validation_sequences=1,
        test_sequences=1,
        first_frames=3,
        units=6,
    )

    def loss(experiment, batch):
        inputs, labels, mask = (keras.tree.map_structure(np.asarray, b) for b in batch)
        frames, tracker = inputs["frames"], experiment.tracker
        describe = reference.in_float64(tracker.cell.features)
        judge = reference.in_float64(tracker.objectives["features"])

        def window(box):
            center, half = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]) / 2
            box = np.concatenate([center - 1.5 * half, center + 1.5 * half], axis=1)
            return reference.raw_window(box, (120, 160), (28, 28))

        first = window(inputs["initial_box"].astype(np.float64))
        true = [
            judge(reference.read(frames[:, t], window(labels["boxes"][:, t]), (28, 28)))
            for t in range(3)
        ]

        def judged(weights):
            _, glimpses = reference.tracked(
                weights,
                frames,
                first,
                (28, 28),
                lambda glimpse: describe(glimpse).reshape(2, -1),
                residual=True,
            )
            error = [
                ((judge(glimpses[:, t]) - true[t]) ** 2).mean(axis=-1) for t in range(3)
            ]
            penalty = sum((weights[name] ** 2).mean() for name in ("kernel", "window"))
            return (np.stack(error, axis=1) * mask).mean() + 0.2 * penalty

        return judged

    one_step(recipe, loss)


SHARED = [
    # Of 24 sequences, through the end of an epoch; and sequences grow with the steps.
    recipes.bouncing_balls(
        "last", batch_size=8, train_sequences=24, train_frames=6, steps_per_frame=2
    ),
    recipes.moving_mnist(mnist_path=str(SAMPLE_PATH), batch_size=8, train_frames=3),
    recipes.people(
        pennfudan_path=PEOPLE,
        batch_size=8,
        train_sequences=2,
        validation_sequences=1,
        train_frames=3,
        first_frames=2,
        steps_per_frame=2,
    ),
]


@pytest.fixture(scope="module", params=SHARED, ids=lambda r: type(r).__name__)
def experiment(request):
    return request.param.build()


@pytest.mark.parametrize(("workers", "devices"), [(2, 1), (4, 1), (1, 2), (2, 2)])
def test_workers_share_out_each_steps_sequences(experiment, workers, devices):
    def steps(start, count, **part):
        """Each batch's sequences and weights, as bytes."""
        batches = experiment.sequences(start, **part).take(count)
        return [
            [
                [array.tobytes() for array in sequence]
                for sequence in zip(inputs["frames"], *weights, strict=True)
            ]
            for inputs, _, *weights in batches.as_numpy_iterator()
        ]

    start, count = 8, 4
    expected = steps(start, count)
    size = 8 // (workers * devices)
    parts = [
        steps(start + worker, count * devices, step=workers, batch_size=size)
        for worker in range(workers)
    ]
    for step in range(count):
        taken = [
            sequence
            for part in parts
            for batch in part[step * devices :][:devices]
            for sequence in batch
        ]
        assert sorted(taken) == sorted(expected[step])


def test_workers_share_out_epochs_that_are_multiples_of_them():
    recipe = recipes.bouncing_balls(train_sequences=25, train_frames=2)
    with pytest.raises(ValueError, match="multiple of the 2 workers. Received: 25"):
        recipe.build().sequences(0, step=2, batch_size=8)
