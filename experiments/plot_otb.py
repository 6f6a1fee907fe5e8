r"""Plots IoU frame after frame on sequences of TB-100, as the paper's Fig. 14.

python experiments/plot_otb.py --model=pretrained:people --otb_dir=otb --output=iou.png
"""

import pathlib

from absl import flags

from ratm_tf.cli import program, tracker

flags.adopt_module_key_flags(tracker)
flags.FLAGS.set_default("model", "pretrained:people")
_OTB_DIR = flags.DEFINE_string("otb_dir", "data/otb", "Sequences of TB-100.")
_OUTPUT = flags.DEFINE_string("output", "otb_iou.png", "The picture.")
_FRAMES = flags.DEFINE_integer("frames", 150, "How many to show.", lower_bound=1)


def main(_):
    """Tracks every sequence and draws its corner IoU, and their mean."""
    import matplotlib
    import matplotlib.pyplot as plt
    import numpy as np

    from ratm_tf.boxes import iou
    from ratm_tf.datasets import otb_sequences, tracker_inputs

    loaded = tracker.load_tracker()
    curves = {}
    for example in otb_sequences(_OTB_DIR.value).batch(1):
        outputs = loaded.predict_on_batch(tracker_inputs(example))
        values = iou(example["boxes"], outputs["corner_boxes"]).numpy()[0]
        curves[example["name"].numpy()[0].decode()] = values[: _FRAMES.value]

    matplotlib.use("Agg")
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, label=name, linewidth=1)
    length = min(map(len, curves.values()))
    mean = np.mean([values[:length] for values in curves.values()], axis=0)
    axes.plot(range(1, length + 1), mean, "k", label="mean", linewidth=2)
    axes.set(xlabel="frame", ylabel="corner IoU", ylim=(0, 1), xlim=(1, None))
    axes.grid(alpha=0.3)
    axes.legend(ncols=2)
    path = pathlib.Path(_OUTPUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"Mean IoU of frames 1-{length}: {mean.mean():.4f}; {path}")


if __name__ == "__main__":
    program.run(main)
