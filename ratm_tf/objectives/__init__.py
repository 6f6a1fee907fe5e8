"""Why to look there: losses and metrics on a tracker's named outputs."""

from ratm_tf.boxes import iou
from ratm_tf.objectives.losses import (
    LocalizationLoss,
    OverlapLoss,
    PixelLoss,
    RelativeBoxLoss,
)
from ratm_tf.objectives.mean_iou import MeanIoU
from ratm_tf.objectives.weight_penalty import WeightPenalty

__all__ = [
    "LocalizationLoss",
    "MeanIoU",
    "OverlapLoss",
    "PixelLoss",
    "RelativeBoxLoss",
    "WeightPenalty",
    "iou",
]
