"""TB-100 (Wu, Lim and Yang, 2015), the OTB benchmark, for evaluation (section 6.3)."""

from ratm_tf.datasets.deprecated import make_callable

make_callable(__name__)
