"""What is trained, as data: the recipes of the paper's experiments, and better ones.

| function | section | its recipe |
|---|---|---|
| `bouncing_balls` | 6.1 | `BouncingBallsRecipe` |
| `moving_mnist` | 6.2 | `MovingMNISTRecipe` |
| `people` | 6.3 | `PeopleRecipe` |
| `targets` | | `TargetsRecipe`, of any target |
| `videos` | | `VideosRecipe`, of one's own videos |

Each has the preset `"fast"`, and those of the paper have `"paper"`, whose `sources` say
where every field is from. `recipe.build()` makes an `Experiment`;
`ratm_tf.training.run_recipe` trains and measures it; `dataclasses.replace` changes a
field.
"""

from ratm_tf.recipes.bouncing_balls_recipe import BouncingBallsRecipe, bouncing_balls
from ratm_tf.recipes.experiment import Experiment
from ratm_tf.recipes.moving_mnist_recipe import MovingMNISTRecipe, moving_mnist
from ratm_tf.recipes.people_recipe import PeopleRecipe, people
from ratm_tf.recipes.recipe import Recipe
from ratm_tf.recipes.targets_recipe import TargetsRecipe, targets
from ratm_tf.recipes.videos_recipe import VideosRecipe, videos

__all__ = [
    "BouncingBallsRecipe",
    "Experiment",
    "MovingMNISTRecipe",
    "PeopleRecipe",
    "Recipe",
    "TargetsRecipe",
    "VideosRecipe",
    "bouncing_balls",
    "moving_mnist",
    "people",
    "targets",
    "videos",
]
