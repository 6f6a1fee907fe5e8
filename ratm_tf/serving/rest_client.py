"""Calling a model server over REST."""

import json

import numpy as np
import requests
import tensorflow as tf
import urllib3
from google.protobuf import json_format
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

from .client import Client
from .json_tensors import array_from_json, array_to_json
from .serving_error import ServingError


class RestClient(Client):
    """Calls a model of a TensorFlow Serving, or of `Server`, over REST.

    Requests that meet no server, or one that is overloaded, are repeated with growing
    pauses.

    Args:
        address: `host:port`, or a URL up to and without `/v1`.
        model: the model's name.
        timeout: seconds to wait for an answer.
        attempts: how often to try.

    Example:
    >>> from ratm_tf import serving
    >>> client = serving.RestClient("127.0.0.1:1", "digits", attempts=1)
    >>> client.signatures()
    Traceback (most recent call last):
    ratm_tf.serving.serving_error.ServingError: No server answers at 127.0.0.1:1: ...
    """

    def __init__(self, address, model, timeout=30.0, attempts=5):
        super().__init__(address, model, timeout)
        base = address if "://" in address else f"http://{address}"
        self._url = f"{base.rstrip('/')}/v1/models/{model}"
        self._session = requests.Session()
        retry = _Retry(
            attempts - 1,
            backoff_factor=0.5,
            status_forcelist=[429, 502, 503, 504],
            allowed_methods=None,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(
                scheme, requests.adapters.HTTPAdapter(max_retries=retry)
            )

    def _ask_signatures(self):
        answer = self._call("GET", "/metadata")
        signatures = json_format.ParseDict(
            answer["metadata"]["signature_def"],
            SignatureDefMap(),
            ignore_unknown_fields=True,
        )
        return signatures.signature_def

    def _run(self, signature, inputs):
        request = {
            "signature_name": signature,
            "inputs": {
                name: array_to_json(name, np.asarray(array), binary=True)
                for name, array in inputs.items()
            },
        }
        outputs = self._call("POST", ":predict", json.dumps(request))["outputs"]
        infos = self.signatures()[signature].outputs
        if len(infos) == 1:  # An only output has no name.
            outputs = {next(iter(infos)): outputs}
        return {
            name: array_from_json(name, value, tf.as_dtype(infos[name].dtype))
            for name, value in outputs.items()
        }

    def _call(self, method, path, body=None):
        try:
            response = self._session.request(
                method,
                self._url + path,
                data=body,
                timeout=self._timeout,
                headers={"Content-Type": "application/json"},
            )
            answer = response.json()
            if not isinstance(answer, dict):
                raise ValueError(f"Expected a JSON object. Received: {answer!r:.100}")
        except requests.Timeout as error:
            raise ServingError.too_late(self._address, self._timeout) from error
        except requests.ConnectionError as error:
            raise ServingError.no_answer(self._address, error) from error
        except (requests.RequestException, ValueError) as error:
            raise ServingError.refused(self._address, "no JSON", error) from error
        if response.ok:
            return answer
        reason = answer.get("error", answer)
        if response.status_code == 404:
            raise ServingError.no_model(self._address, self.model, reason)
        raise ServingError.refused(self._address, response.status_code, reason)


class _Retry(urllib3.Retry):
    def increment(self, *args, error=None, **kwargs):
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error  # The time is over.
        return super().increment(*args, error=error, **kwargs)
