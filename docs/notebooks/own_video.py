# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Notebook: a tracker of your own videos
#
# From a folder of videos with boxes beside them to a tracker, in Python.
# [The guide](../own_videos.html) says it by commands, with all formats of boxes. This page is
# `docs/notebooks/own_video.py`, text that Jupyter opens with
# [jupytext](https://jupytext.readthedocs.io).
#
# ## Videos
#
# Yours go here. To have some, this makes twelve of a disc on blotches, and a table of boxes for each.

# %%
import csv
import pathlib
import tempfile

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np

import ratm_tf
from ratm_tf import visualize

folder = pathlib.Path(tempfile.mkdtemp())


def make_video(path, seed, length=40, height=120, width=160):
    rng = np.random.default_rng(seed)
    blotches = rng.integers(60, 200, [6, 8, 3], np.uint8)
    scene = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    radius = int(rng.integers(8, 14))
    end = np.array([width, height]) - radius
    place, speed = rng.uniform(radius, end), rng.uniform(-4, 4, 2)
    code = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(path), code, 25, (width, height))
    with path.with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["frame", "x", "y", "w", "h"])
        for number in range(length):
            frame, (x, y) = scene.copy(), place.round().astype(int).tolist()
            for part, shade in ((3, 30), (2, 240), (1, 30)):
                cv2.circle(frame, (x, y), radius * part // 3, [shade] * 3, -1)
            video.write(frame)
            size = 2 * radius + 1
            table.writerow([number, x - radius, y - radius, size, size])
            place += speed
            speed[place < radius] = abs(speed[place < radius])
            speed[place > end] = -abs(speed[place > end])
    video.release()


for number in range(12):
    make_video(folder / f"{number:02d}.mp4", seed=number)

# %% [markdown]
# ## A look at the boxes
#
# A box that is off by its own size, or one frame late, shows here and spoils everything after.

# %%
recipe = ratm_tf.recipes.videos(str(folder), steps=150)
keras.utils.set_random_seed(0)
experiment = recipe.build()
inputs, labels, _ = next(iter(experiment.sequences(0)))
shown = visualize.draw_boxes(
    inputs["frames"][0], labels["boxes"][0], visualize.GREEN, 1
)
_, axes = plt.subplots(1, 5, figsize=(12, 2))
for ax, frame in zip(axes, shown, strict=False):
    ax.imshow(frame)
    ax.axis("off")
plt.show()

# %% [markdown]
# ## Training
#
# The recipe starts from the packaged tracker of people. `ratm_tf.training.run_recipe(recipe,
# model_dir=...)` also keeps checkpoints, logs, pictures and figures, and resumes; here it is Keras's `fit`.

# %%
tracker = experiment.tracker
history = tracker.fit(
    experiment.sequences(0), steps_per_epoch=50, epochs=3, shuffle=False, verbose=0
)
print({name: round(values[-1], 3) for name, values in history.history.items()})

# %% [markdown]
# ## What is it worth?
#
# On the videos that were held out, beside a box that stays where the target was in the first frame:

# %%
metrics = ratm_tf.evaluate(tracker, experiment.test, spans=[None], verbose=0)
test = ratm_tf.datasets.videos(str(folder), "test", frame_size=recipe.frame_size)
still = np.mean(
    [
        np.mean(ratm_tf.boxes.iou(example["boxes"], example["initial_box"]))
        for example in test
    ]
)
print(metrics)
print(f"a box that stays: {still:.2f}")

# %%
example = next(iter(test.batch(1)))
plt.figure(figsize=(12, 4))
plt.imshow(visualize.tracked_film_strip(tracker, example, every=4))
plt.axis("off")
plt.show()

# %% [markdown]
# ## A new video, frame by frame

# %%
new = folder / "new.mp4"
make_video(new, seed=100)
capture, found = cv2.VideoCapture(str(new)), []
online = ratm_tf.OnlineTracker(tracker)
true = np.loadtxt(new.with_suffix(".csv"), delimiter=",", skiprows=1)[:, 1:]
while (read := capture.read())[0]:
    if found:
        online.update(read[1])
    else:
        online.init(read[1], true[0])
    found.append(online.box)
overlap = ratm_tf.boxes.iou(ratm_tf.boxes.xyxy_from_xywh(true), np.array(found))
print(f"mean IoU on the new video: {np.mean(overlap):.2f}")
assert np.mean(overlap) > still
