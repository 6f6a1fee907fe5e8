"""Tracking on a model server."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .client import Client
from .serving_error import ServingError


class RemoteTracker:
    """Tracks through a served tracker, as `ratm_tf.export_saved_model` writes it.

    Whole videos go in one request. Streams go frame by frame; this client carries the
    state, so that any server of the model can answer the next frame.

    Args:
        client: a `GrpcClient` or a `RestClient`.

    Raises:
        ServingError: nobody answers, or there is no such model or signature.

    Example:
    >>> from ratm_tf import serving
    >>> client = serving.GrpcClient("127.0.0.1:1", "digits", attempts=1)
    >>> serving.RemoteTracker(client).start(frame_size=(100, 100))
    Traceback (most recent call last):
    ratm_tf.serving.client.serving_error.ServingError: No server answers at ...
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._state: dict[str, np.ndarray] | None = None

    def track(
        self, images: Sequence[bytes], initial_box: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Tracks through a whole video.

        Args:
            images: list of `bytes`, JPEG or PNG files of one size.
            initial_box: `(x1, y1, x2, y2)` of the target in the first frame, in
                pixels, for trackers that start on a given target.

        Returns:
            float32 `[T, 4]`, `(x1, y1, x2, y2)`: the tracker's `boxes`.

        Raises:
            ServingError: see `GrpcClient.predict`.
            ValueError: `initial_box` is missing or not expected, or there is no image.
        """
        if not len(images):
            raise ValueError("Expected at least one of `images`. Received none.")
        box = self._box("track_encoded", initial_box)
        frames = np.array([images], object)
        return self._client.predict("track_encoded", {"frames": frames} | box)["boxes"][
            0
        ]

    def start(
        self, frame_size: tuple[int, int], initial_box: npt.ArrayLike | None = None
    ) -> None:
        """Starts on a new stream.

        Args:
            frame_size: `(height, width)` of its frames.
            initial_box: as in `track`.

        Raises:
            ServingError: see `GrpcClient.predict`.
            ValueError: `initial_box` is missing or not expected.
        """
        box = self._box("start", initial_box)
        size = np.array([frame_size], np.int32)
        self._state = self._client.predict("start", {"frame_size": size} | box)

    def step(self, image: bytes) -> np.ndarray:
        """Tracks into the next frame; the first one counts, too.

        Args:
            image: `bytes`, a JPEG or PNG file.

        Returns:
            float32 `[4]`, `(x1, y1, x2, y2)` in pixels.

        Raises:
            ServingError: see `GrpcClient.predict`. The same frame can be tried again.
            RuntimeError: `start` was not called.
        """
        if self._state is None:
            raise RuntimeError("Call `start` before `step`.")
        frame = np.array([image], object)
        outputs = self._client.predict("step_encoded", {"frame": frame} | self._state)
        self._state = {name: outputs[name] for name in self._state}
        return outputs["boxes"][0]

    def _box(self, signature, initial_box):
        signatures = self._client.signatures()
        if signature not in signatures:
            raise ServingError.no_signature(self._client.model, signature, signatures)
        given = "initial_box" in signatures[signature].inputs
        if given != (initial_box is not None):
            raise ValueError(
                "This tracker starts on a given target. Expected `initial_box`."
                if given
                else "This tracker finds its target itself. Expected no `initial_box`."
            )
        return {"initial_box": np.array([initial_box], np.float32)} if given else {}
