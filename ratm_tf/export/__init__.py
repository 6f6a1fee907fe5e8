"""Trackers as SavedModels, for TensorFlow Serving, and as files for small devices.

| | |
|---|---|
| `signatures.py` | what an exported tracker can be asked |
| `saved_model.py` | writes and loads SavedModels |
| `small_devices.py` | writes LiteRT and ONNX files |
| `images.py` | decodes image files in a graph |
| `warmup.py` | the requests that a server replays before it uses a model |
| `configuration.py` | the files that configure a TensorFlow Serving |

A SavedModel has these signatures. All inputs and outputs have names and a leading batch
dimension, which is the same for all inputs of a call; batch, time, height and width are
free, and frames of a batch share one size. The graph itself checks that, so that every
server says what is wrong.

| signature | inputs | outputs |
|---|---|---|
| `track`, the `serving_default` | `frames` `[B, T, H, W, C]` | `boxes` `[B, T, 4]`, `corner_boxes` `[B, T, 4]`, `windows` `[B, T, 6]` |
| `track_encoded` | `frames` `[B, T]`, JPEG or PNG files | the same |
| `start` | `frame_size` `[B, 2]`, int32 `(height, width)` | `state_0`, `state_1`, ... |
| `step` | `frame` `[B, H, W, C]`, `state_0`, `state_1`, ... | `boxes` `[B, 4]`, `corner_boxes` `[B, 4]`, `windows` `[B, 6]`, `state_0`, `state_1`, ... |
| `step_encoded` | `frame` `[B]`, JPEG or PNG files, `state_0`, `state_1`, ... | the same |

`track`, `track_encoded` and `start` also take `initial_box` `[B, 4]` if the tracker
starts on a given target. States are float32 `[B, size]`, those of the recurrent cell
followed by the raw window `[B, 6]` for the next frame and its bias `[B, 6]`
(`Tracker.state_spec`): the client carries them from one frame to the next, and the
server keeps nothing. Trackers with a `score` also give `scores`, `[B, T]` or `[B]`, in
0..1.
"""  # noqa: E501

from ratm_tf.export.images import decode_images
from ratm_tf.export.saved_model import export_saved_model, load_saved_model
from ratm_tf.export.small_devices import export_litert, export_onnx

__all__ = [
    "decode_images",
    "export_litert",
    "export_onnx",
    "export_saved_model",
    "load_saved_model",
]
