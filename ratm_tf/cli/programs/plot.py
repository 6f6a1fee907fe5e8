r"""Plots the results of trackers on recorded sequences, and prints their figures.

ratm-tf plot --results=results/people,results/mine --otb_dir=otb --output=curves.png
ratm-tf plot --results=results/mine --dataset=videos --data=my_videos --kind=frames

Draws the curves of success and precision, or the IoU frame after frame as the paper's
Fig. 14, from files of boxes that `ratm-tf evaluate --results` or a toolkit of the field
wrote. Nothing is tracked. The first frame, which trackers are given, counts as found.
"""

import json
import pathlib

from absl import flags

from ratm_tf.cli import dataset, recorded

flags.adopt_module_key_flags(recorded)
flags.FLAGS.set_default("dataset", "otb")
_RESULTS = flags.DEFINE_list(
    "results", None, "Folders of boxes, a tracker each.", required=True
)
_OUTPUT = flags.DEFINE_string("output", "curves.png", "The picture.")
_KIND = flags.DEFINE_enum(
    "kind",
    "curves",
    ["curves", "frames"],
    "Success and precision of all trackers, or the IoU of the first one by frame.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the splits.", lower_bound=0)


def main(_):
    """Reads, measures, draws."""
    from ratm_tf import one_pass, visualize
    from ratm_tf.boxes import iou

    if not recorded.chosen():
        raise ValueError(
            f"Expected --dataset=otb or videos. Received: {dataset.DATASET.value}"
        )
    truths = recorded.truths(_SEED.value)
    found = {name: results(pathlib.Path(name), truths) for name in _RESULTS.value}
    measured = {
        name: [one_pass.measure(truths[each], boxes[each]) for each in truths]
        for name, boxes in found.items()
    }
    if _KIND.value == "frames":
        first = next(iter(found.values()))
        each = {name: iou(true, first[name]).numpy() for name, true in truths.items()}
        picture = visualize.iou_plot(each)
    else:
        means = {pathlib.Path(n).name: one_pass.mean(m) for n, m in measured.items()}
        picture = visualize.one_pass_plot(means)
    visualize.save_image(_OUTPUT.value, picture)
    figures = {name: one_pass.summary(each) for name, each in measured.items()}
    print(json.dumps({"sequences": len(truths), "trackers": figures}))


def results(folder, truths):
    """The boxes of a folder, as many frames as there are true ones."""
    from ratm_tf import one_pass

    boxes = {}
    for name, true in truths.items():
        boxes[name] = one_pass.read_results(folder / f"{name}.txt")
        if dataset.FRAMES.value:
            boxes[name] = boxes[name][: len(true)]
        if len(boxes[name]) != len(true):
            raise ValueError(
                f"Expected {len(true)} boxes in {folder / name}.txt. Received: "
                f"{len(boxes[name])}"
            )
    return boxes
