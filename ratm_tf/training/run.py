"""Trains and measures what a recipe makes."""

import contextlib
import dataclasses
import json
import pathlib
import statistics

import keras
import tensorflow as tf

from ratm_tf.datasets.parts import PER_FRAME
from ratm_tf.recipes import PeopleRecipe, Recipe
from ratm_tf.training.evaluate import evaluate
from ratm_tf.training.provenance import provenance
from ratm_tf.training.run_folder import write_json
from ratm_tf.training.train import train
from ratm_tf.training.workers import from_chief, is_chief
from ratm_tf.types import Implementation, Path, Precision

_SHOWN_FRAMES = 60


def run_recipe(
    recipe: Recipe,
    *,
    model_dir: Path,
    seed: int = 0,
    implementation: Implementation = "auto",
    strategy: tf.distribute.Strategy | None = None,
    precision: Precision = "float32",
) -> dict[str, object]:
    """Trains a tracker by a recipe and measures it on the recipe's test sequences.

    Writes to `model_dir` what `ratm_tf.train` does, and `metrics.json`: what is
    returned. Called again after an interruption, it goes on from the last epoch.

    Args:
        recipe: a `ratm_tf.recipes.Recipe`.
        model_dir: output folder, made if need be.
        seed: integer, of the weights and the sequences.
        implementation: see `ratm_tf.gaussian_glimpse`.
        strategy: of `make_strategy`, to train on several devices or machines; the first
            of these measures, and writes. Default: TensorFlow's.
        precision: what features and recurrent cells are computed in, as Keras names it:
            `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`, with a scaled loss,
            where steps whose gradients overflow do not count. Windows and weights are
            float32 in each.

    Returns:
        Dict of JSON values: the recipe's `choices`, `seed`, `precision`, the `steps`
        trained, the IoUs by `evaluate`'s names, the whole `recipe`, the `data` it
        found, and the `versions` and the `git` commit that computed.

    Raises:
        ValueError: if `model_dir` holds another run, or a batch cannot be split among
            the workers.

    Example:
    >>> import tempfile
    >>> recipe = ratm_tf.recipes.bouncing_balls(steps=1, test_sequences=10)
    >>> recipe = dataclasses.replace(recipe, steps_per_execution=1)
    >>> metrics = ratm_tf.training.run_recipe(recipe, model_dir=tempfile.mkdtemp())
    Model: ...
    >>> metrics["steps"], 0 < metrics["corner_iou_1_32"] < 1
    (1, True)
    """
    strategy = strategy or tf.distribute.get_strategy()
    keras.utils.set_random_seed(seed)
    with strategy.scope(), _policy(precision):
        experiment = recipe.build(seed=seed, implementation=implementation)
    tracker, test = experiment.tracker, experiment.test
    fields = recipe.as_dict()
    identity = {"seed": seed, "data": experiment.data} | fields
    if recipe.decay == "constant":
        del identity["steps"]  # A longer run goes on where a shorter one ended.
    if precision != "float32":
        identity["precision"] = precision
    train(
        tracker,
        experiment.sequences,
        model_dir=model_dir,
        run=identity,
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        steps_per_epoch=recipe.steps_per_epoch,
        validation_data=experiment.validation,
        patience=recipe.patience,
        shown=_beginnings(next(iter(test))),
    )

    def measured():
        print(f"Testing on {len(test):,} batches")
        metrics = {
            **recipe.choices,
            "seed": seed,
            "precision": precision,
            "steps": int(tracker.optimizer.iterations),
            **evaluate(tracker, test, recipe.spans),
            "recipe": fields,
            "data": experiment.data,
            **provenance(),
        }
        write_json(pathlib.Path(model_dir) / "metrics.json", metrics)
        return metrics

    return from_chief(strategy, measured)


@contextlib.contextmanager
def _policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _beginnings(batch):
    """What is drawn of a batch: as much as can be seen."""
    return {
        name: values[:4, :_SHOWN_FRAMES] if name in PER_FRAME else values[:4]
        for name, values in batch.items()
    }


def run_all_subjects(
    recipe: PeopleRecipe, *, model_dir: Path, **options: object
) -> dict[str, object]:
    """Leaves each KTH subject out in turn, as section 6.3 does.

    Each subject has a folder in `model_dir`, and `metrics.json` their averages: over
    the frames of a subject, then over subjects. Subjects whose folder is finished, by
    the same recipe, are not trained again. With `skip_bad`, the subjects are those of
    whom there is a video, three at least.

    Args:
        recipe: a `ratm_tf.recipes.PeopleRecipe` of KTH.
        model_dir: output folder, made if need be.
        **options: see `run_recipe`.

    Returns:
        As `run_recipe` does, with the averages.

    Raises:
        ValueError: if a folder holds another run, or a batch cannot be split among the
            workers.
    """
    folds, subjects = [], list(recipe.subjects)
    for subject in subjects:
        fold = dataclasses.replace(recipe, test_subject=subject)
        folds.append(_fold(fold, pathlib.Path(model_dir), **options))
    averages = {
        name: statistics.mean(fold[name] for fold in folds)
        for name in folds[0]
        if "iou" in name
    }
    metrics = folds[0] | averages
    metrics |= {
        "test_subject": "all",
        "subjects": subjects,
        "recipe": recipe.as_dict(),
    }
    if is_chief(options.get("strategy") or tf.distribute.get_strategy()):
        write_json(pathlib.Path(model_dir) / "metrics.json", metrics)
    return metrics


def _fold(recipe, model_dir, seed=0, **options):
    folder = model_dir / f"subject{recipe.test_subject:02d}"

    def done():
        finished = folder / "metrics.json"
        if not finished.exists():
            return None
        metrics = json.loads(finished.read_text())
        same = json.loads(json.dumps({"recipe": recipe.as_dict(), "seed": seed}))
        found = {name: metrics.get(name) for name in same}
        if found != same:
            raise ValueError(
                f"Expected {finished} to be of this recipe and seed, {same}. Received: "
                f"{found}"
            )
        print(f"Subject {recipe.test_subject} is done: {finished}")
        return metrics

    metrics = from_chief(options.get("strategy") or tf.distribute.get_strategy(), done)
    if metrics is not None:
        return metrics
    metrics = run_recipe(recipe, model_dir=folder, seed=seed, **options)
    keras.backend.clear_session()
    return metrics
