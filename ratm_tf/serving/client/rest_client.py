"""Calling a model server over REST."""

import json
import time
import urllib.parse

import requests
import urllib3

from ..protocol.json_predictions import inputs_to_json, outputs_from_json
from ..protocol.signature import Signature
from .client import Client
from .serving_error import ServingError

_OVERLOADED = (429, 502, 503, 504)
_FIRST_PAUSE = 0.5  # Seconds; each pause is twice the last.


class RestClient(Client):
    """Calls a model of a TensorFlow Serving, or of `Server`, over REST.

    Requests that meet no server, or one that is overloaded, are repeated with growing
    pauses.

    Args:
        address: `host:port`, or a URL up to and without `/v1`.
        model: the model's name.
        timeout: seconds for a call, repetitions included.
        attempts: how often to try, 1 or more.

    Raises:
        ValueError: `timeout` or `attempts` is another.

    Example:
    >>> from ratm_tf import serving
    >>> client = serving.RestClient("127.0.0.1:1", "digits", attempts=1)
    >>> client.signatures()
    Traceback (most recent call last):
    ratm_tf.serving.client.serving_error.ServingError: No server answers at ...
    """

    def __init__(
        self, address: str, model: str, timeout: float = 30.0, attempts: int = 5
    ) -> None:
        super().__init__(address, model, timeout, attempts)
        base = address if "://" in address else f"http://{address}"
        name = urllib.parse.quote(model, safe="")
        self._url = f"{base.rstrip('/')}/v1/models/{name}"
        self._attempts = attempts
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def _ask_signatures(self):
        answer = self._call("GET", "/metadata")
        try:
            definitions = answer["metadata"]["signature_def"].get("signature_def", {})
            return {
                name: Signature.from_json(definition)
                for name, definition in definitions.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ServingError.refused(self._address, "no signatures", error) from error

    def _run(self, signature, inputs, dtypes):
        body = json.dumps(inputs_to_json(signature, inputs))
        answer = self._call("POST", ":predict", body)
        try:
            return outputs_from_json(answer, dtypes)
        except ValueError as error:
            raise ServingError.refused(self._address, "other outputs", error) from error

    def _call(self, method, path, body=None):
        deadline = time.monotonic() + self._timeout
        for attempt in range(1, self._attempts + 1):
            pause = _FIRST_PAUSE * 2 ** (attempt - 1)
            last = attempt == self._attempts or time.monotonic() + pause > deadline
            try:
                response, content = self._exchange(method, path, body, deadline)
            except requests.Timeout as error:
                raise ServingError.too_late(self._address, self._timeout) from error
            except requests.ConnectionError as error:
                if time.monotonic() > deadline:
                    raise ServingError.too_late(self._address, self._timeout) from error
                if last:
                    raise ServingError.no_answer(self._address, error) from error
            except requests.RequestException as error:
                raise ServingError.no_answer(self._address, error) from error
            else:
                if last or response.status_code not in _OVERLOADED:
                    return self._answer(response, content)
            time.sleep(pause)

    def _exchange(self, method, path, body, deadline):
        """One request and the whole answer to it, before the deadline."""
        parts = []
        with self._session.request(
            method,
            self._url + path,
            data=body,
            timeout=max(deadline - time.monotonic(), 1e-3),
            headers={"Content-Type": "application/json"},
            stream=True,
        ) as response:
            try:
                while part := response.raw.read1(2**20, decode_content=True):
                    parts.append(part)
                    if time.monotonic() > deadline:
                        raise requests.Timeout
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(error) from error
        return response, b"".join(parts)

    def _answer(self, response, content):
        try:
            answer = json.loads(content)
            if not isinstance(answer, dict):
                raise ValueError("Expected a JSON object.")
        except ValueError as error:
            raise ServingError.refused(self._address, "no JSON", error) from error
        if response.ok:
            return answer
        reason = answer.get("error", answer)
        if response.status_code == 404:
            raise ServingError.no_model(self._address, self.model, reason)
        raise ServingError.refused(self._address, response.status_code, reason)
