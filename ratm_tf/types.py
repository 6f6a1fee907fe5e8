"""What the annotations of several modules are made of."""

import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import keras
import numpy.typing as npt
import tensorflow as tf

TensorLike: TypeAlias = tf.Tensor | tf.Variable | keras.KerasTensor | npt.ArrayLike
"""A tensor, or what becomes one: an array, or numbers in lists."""

Example: TypeAlias = Mapping[str, tf.Tensor]
"""An example of `ratm_tf.datasets`, or a batch of them."""

Size: TypeAlias = tuple[int, int]
"""Rows and columns, or height and width."""

Shape: TypeAlias = Sequence[int | None]
"""The shape of a tensor, None where it is not known yet."""

Path: TypeAlias = str | os.PathLike[str]

Implementation: TypeAlias = Literal["auto", "fused", "tf"]
Kind: TypeAlias = Literal["corner", "extent"]
Precision: TypeAlias = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Split: TypeAlias = Literal["train", "test"]
