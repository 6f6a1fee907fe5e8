r"""Measures how far a tracker's boxes drift when it computes in half precision.

python experiments/benchmark_precision.py --model=pretrained:moving_mnist \
  --dataset=moving_mnist --frames=300

Prints a row of Markdown for each policy: how far boxes are from those of float32 in
pixels, by the edge that is farthest, on average over all frames, in the last frame, and
at most; and the mean corner IoU.
"""

import numpy as np

from ratm_tf.cli import dataset, program, tracker

_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def with_policy(loaded, policy):
    """A tracker of the same weights whose cell computes otherwise."""
    import ratm_tf

    def changed(config):
        if isinstance(config, list | tuple):
            return [changed(part) for part in config]
        if not isinstance(config, dict):
            return config
        if config.get("class_name") == "DTypePolicy":
            return config | {"config": {"name": policy}}
        return {name: changed(part) for name, part in config.items()}

    config = loaded.get_config()
    config["cell"] = changed(config["cell"])
    made = ratm_tf.Tracker.from_config(config)
    made.build({"frames": (None, None, None, None, loaded.channels)})
    made.set_weights(loaded.get_weights())
    return made


def main(_):
    """Tracks the same sequences by each policy."""
    import ratm_tf

    loaded = tracker.load_tracker()
    recipe = dataset.recipe(loaded.starts_on_target, test_sequences=100)
    batches = list(recipe.test_data())
    expected = None
    print("| policy | mean | last frame | largest | corner IoU |")
    print("|---|---|---|---|---|")
    for policy in _POLICIES:
        made = with_policy(loaded, policy)
        outputs = [
            made.predict_on_batch(ratm_tf.datasets.tracker_inputs(batch))
            for batch in batches
        ]
        boxes = np.concatenate([output["boxes"] for output in outputs])
        expected = boxes if expected is None else expected
        apart = np.abs(boxes - expected).max(axis=-1)
        overlap = np.mean(
            [
                ratm_tf.boxes.iou(batch["boxes"], output["corner_boxes"])
                for batch, output in zip(batches, outputs, strict=True)
            ]
        )
        print(
            f"| `{policy}` | {apart.mean():.2g} | {apart[:, -1].mean():.2g} "
            f"| {apart.max():.2g} | {100 * overlap:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    program.run(main)
