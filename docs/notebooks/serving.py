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
# # Notebook: a tracker behind a server
#
# Export a tracker, serve it, and call it: a whole video in one request, a stream frame by frame, and
# without any of this package's Python. [Serving](../serving.html) says the same by commands. This page is
# `docs/notebooks/serving.py`, text that Jupyter opens with
# [jupytext](https://jupytext.readthedocs.io).

# %%
import base64
import contextlib
import pathlib
import tempfile

import cv2
import matplotlib.pyplot as plt
import numpy as np
import requests

import ratm_tf
from ratm_tf import serving, visualize

folder = pathlib.Path(tempfile.mkdtemp()) / "digits"
tracker = ratm_tf.load_pretrained("moving_mnist")
print(ratm_tf.export_saved_model(tracker, folder).name)  # Its first version.

sequences = ratm_tf.datasets.moving_mnist_sequences(
    "test", num_frames=20, fallback=True
)
example = next(iter(sequences))
video = example["frames"].numpy()  # [20, 100, 100, 1], uint8
encoded = [cv2.imencode(".png", frame)[1].tobytes() for frame in video]

# %% [markdown]
# ## A server
#
# In a program of its own this is `ratm-tf serve --model=FOLDER`; in Python, `with serving.Server(...) as
# server:`, which here spans cells. Ports of 0 are free ones.

# %%
model = serving.ServedModel(folder)
running = contextlib.ExitStack()
server = running.enter_context(serving.Server(model, grpc_port=0, rest_port=0))
url = f"http://{server.rest_address}/v1/models/digits"
print(requests.get(url, timeout=10).json())

# %% [markdown]
# ## A video in one request

# %%
with serving.GrpcClient(server.grpc_address, "digits") as client:
    answer = client.predict("track", {"frames": video[np.newaxis]})
print({name: values.shape for name, values in answer.items()})

shown = visualize.draw_boxes(video, answer["boxes"][0], scale=2)
_, axes = plt.subplots(1, 6, figsize=(12, 2))
for ax, frame in zip(axes, shown[::3], strict=False):
    ax.imshow(frame)
    ax.axis("off")
plt.show()

# %% [markdown]
# ## A stream
#
# The server keeps nothing: the client carries the tracker's states from one frame to the next, and gets
# what the whole video got.

# %%
with serving.RestClient(server.rest_address, "digits") as client:
    remote = serving.RemoteTracker(client)
    remote.start(frame_size=(100, 100))
    streamed = [remote.step(frame) for frame in encoded]
np.testing.assert_allclose(streamed, answer["boxes"][0], atol=0.01)

# %% [markdown]
# ## Without this package
#
# REST is JSON: any language will do. Image files are base64.


# %%
def call(signature, **instance):
    request = {"signature_name": signature, "instances": [instance]}
    reply = requests.post(f"{url}:predict", json=request, timeout=60)
    reply.raise_for_status()
    return reply.json()["predictions"][0]


states = call("start", frame_size=[100, 100])
if not isinstance(states, dict):
    states = {"state_0": states}
for file in encoded[:3]:
    image = {"b64": base64.b64encode(file).decode()}
    reply = call("step_encoded", frame=image, **states)
    states = {name: value for name, value in reply.items() if name in states}
    print(np.round(reply["boxes"], 1), round(reply["scores"], 3))

# %% [markdown]
# On leaving, the server takes no more requests and waits for those under way.

# %%
running.close()
