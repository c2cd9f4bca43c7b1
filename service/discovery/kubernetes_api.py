"""
The API server, asked for EndpointSlices by the `kubernetes` client.

The client finds the server and the credentials: the ServiceAccount in a pod, whose
token it reads anew when it is replaced, KUBECONFIG elsewhere. Answers are taken as
JSON and as lines: its own watch skips what it can't read and resumes on its own.
"""

import contextlib
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kubernetes import client, config
from typing_extensions import override
from urllib3.util.ssl_ import create_urllib3_context

from service.discovery.slice_watch import Gone, SliceApi, Stream

__all__ = ["KubernetesApi", "Refused", "own_namespace"]

CONNECT_SECONDS = 5.0
LIST_SECONDS = 30.0

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubernetesApi(SliceApi):
    """
    Asks for the slices of some Services of one namespace.

    Args:
        namespace: Which.
        selector: Label selector of the slices.

    Raises:
        Exception: There are no credentials; it may be any of several.

    Concurrency:
        For one thread.
    """

    def __init__(self, namespace: str, selector: str) -> None:
        self._namespace = namespace
        self._selector = selector
        found = client.ApiClient(_configuration())
        found.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _trust()
        self._api = client.DiscoveryV1Api(found)

    @override
    def list(self) -> Mapping[str, Any]:
        answer = self._ask(timeout=LIST_SECONDS)
        try:
            document = json.loads(answer.data)
        finally:
            answer.release_conn()
        if not isinstance(document, dict):
            raise TypeError("the API server sent no list")
        return document

    @override
    def watch(self, version: str, *, seconds: int, silence: float) -> Stream:
        return _Stream(
            self._ask(
                timeout=silence,
                watch=True,
                resource_version=version,
                allow_watch_bookmarks=True,
                timeout_seconds=seconds,
            )
        )

    def _ask(self, *, timeout: float, **options: Any) -> Any:
        """
        Return the answer, of which only the head was read.

        Raises:
            Gone: It is a 410.
            Refused: It is another refusal.
        """
        try:
            answer: Any = self._api.list_namespaced_endpoint_slice(
                self._namespace,
                label_selector=self._selector,
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, timeout),
                **options,
            )
        except client.ApiException as error:
            raise _refusal(int(error.status or 0), str(error.reason)) from None
        if answer.status != HTTPStatus.OK:
            reason = _reason(answer)
            answer.close()
            raise _refusal(answer.status, reason)
        return answer


class Refused(Exception):
    """The API server answers, and refuses."""


class _Stream(Stream):
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    @override
    def lines(self) -> Iterator[bytes]:
        try:
            yield from self._answer
        finally:
            self._answer.close()

    @override
    def close(self) -> None:
        # a thread that reads wakes by the end of the connection, not by its closing
        connection = getattr(self._answer, "connection", None)
        sock: Any = getattr(connection, "sock", None)
        with contextlib.suppress(OSError, AttributeError):
            sock.shutdown(socket.SHUT_RDWR)


def _refusal(status: int, reason: str) -> Exception:
    return (Gone if status == HTTPStatus.GONE else Refused)(f"{status} {reason}")


def own_namespace() -> str:
    """Return that of KUBECONFIG's context or of this pod; `default` without both."""
    file = os.environ.get("KUBECONFIG")
    if not file:
        with contextlib.suppress(OSError):
            return _OWN_NAMESPACE.read_text().strip()
    with contextlib.suppress(config.ConfigException):
        # given on, because the client looks at it once, when it is imported
        _, active = config.list_kube_config_contexts(file)
        return str(active["context"].get("namespace") or "default")
    return "default"


def _configuration() -> client.Configuration:
    found = client.Configuration()
    # attempts are made by the watch, which tells of them
    found.retries = False
    file = os.environ.get("KUBECONFIG")
    if not file:
        with contextlib.suppress(config.ConfigException):
            config.load_incluster_config(client_configuration=found)
            return found
    config.load_kube_config(file, client_configuration=found)
    return found


def _trust() -> ssl.SSLContext:
    """
    Return what checks the certificate of the API server, as kubectl would.

    From Python 3.13 on certificates are also held against RFC 5280 to the letter, and
    the authorities of many clusters, made by older tools, lack an extension that it
    asks for. Chain, dates and name are checked all the same.

    Source: https://github.com/kubernetes-client/python/issues/2394
    """
    context = create_urllib3_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _reason(answer: Any) -> str:
    """Return what the API server says in a Status, one line of it."""
    with contextlib.suppress(Exception):
        return str(json.loads(answer.data)["message"])[:300]
    return str(answer.reason)
