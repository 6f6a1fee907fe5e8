"""Runs recipes: training that resumes, pictures on the way, figures at the end.

`ratm_tf.train` and `ratm_tf.evaluate` are in the modules of their names.
"""

from ratm_tf.training.callbacks import Throughput, TrackedSequences
from ratm_tf.training.checkpoints import Checkpoints, NotFinite
from ratm_tf.training.matching import pretrain_target_features
from ratm_tf.training.run import run_all_subjects, run_recipe
from ratm_tf.training.score import fit_score, score_network
from ratm_tf.training.workers import make_strategy

__all__ = [
    "Checkpoints",
    "NotFinite",
    "Throughput",
    "TrackedSequences",
    "fit_score",
    "make_strategy",
    "pretrain_target_features",
    "run_all_subjects",
    "run_recipe",
    "score_network",
]
