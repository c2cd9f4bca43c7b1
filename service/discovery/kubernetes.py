"""
Services of a Kubernetes cluster, by watching their EndpointSlices: a pod that comes,
goes, or is not ready is known as soon as the cluster itself knows it.

One thread for each namespace watches the slices of all services wanted there. What was
known is kept while the API server is away.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from typing_extensions import override

from service.discovery.asking import told
from service.discovery.endpoint_slices import (
    SERVICE_LABEL,
    PortUnclear,
    Target,
    endpoints_of,
    service_of,
)
from service.discovery.known import Known, KnownServices, SourceObserver, unobserved
from service.discovery.slice_watch import SliceApi, SliceListener, SliceWatch
from service.resilience.backoff import Backoff

__all__ = ["Connect", "KubernetesRegistry", "connect"]

Connect = Callable[[str, str], SliceApi]
"""Gives the API server for a namespace and a label selector."""

_FIRST_WITHIN = 1.0
"""Seconds that the start waits for the first list, at most."""


def connect(namespace: str, selector: str) -> SliceApi:
    """
    Return the API server of this cluster, or of KUBECONFIG's.

    Args:
        namespace: Where; empty for the own one.
        selector: Label selector of the slices.

    Raises:
        Exception: There are no credentials.
    """
    # the client takes half a second to import: on the thread of the watch
    from service.discovery.kubernetes_api import KubernetesApi, own_namespace

    return KubernetesApi(namespace or own_namespace(), selector)


class KubernetesRegistry(KnownServices):
    """
    Knows services of a cluster.

    Args:
        targets: The Service that is meant by each name.
        api: Gives the API server.
        observer: Is told what changes.
        backoff: Waits after failures.

    Concurrency:
        `start` and `stop` on one event loop; `endpoints` on any thread.
    """

    name = "discovery kubernetes"

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        api: Connect = connect,
        observer: SourceObserver = unobserved,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(Known(targets, observer=observer))
        by_namespace = defaultdict[str, dict[str, Target]](dict)
        for name, target in targets.items():
            by_namespace[target.namespace][name] = target
        self._watches = [
            _watch(namespace, wanted, self.known, api, backoff)
            for namespace, wanted in sorted(by_namespace.items())
        ]

    async def start(self) -> None:
        """Watch from now on; returns with the first lists, or soon without them."""
        watches = self._watches
        for each in watches:
            each.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_WITHIN):
                for each in watches:
                    await each.first

    async def stop(self) -> None:
        """Watch no more."""
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in self._watches))


def _watch(
    namespace: str,
    wanted: Mapping[str, Target],
    known: Known,
    api: Connect,
    backoff: Backoff | None,
) -> SliceWatch:
    selector = _selector(each.service for each in wanted.values())
    return SliceWatch(
        lambda: api(namespace, selector),
        _Listener(wanted, known),
        name=f"discovery-{namespace or 'own'}",
        backoff=backoff,
    )


def _selector(services: Iterable[str]) -> str:
    return f"{SERVICE_LABEL} in ({','.join(sorted(set(services)))})"


class _Listener(SliceListener):
    """Brings slices to what is known of each service."""

    def __init__(self, wanted: Mapping[str, Target], known: Known) -> None:
        self._wanted = wanted
        self._known = known

    @override
    def heard(self, slices: Mapping[str, Mapping[str, Any]]) -> None:
        """Take all slices."""
        of_service = defaultdict[str, list[Mapping[str, Any]]](list)
        for piece in slices.values():
            of_service[service_of(piece)].append(piece)
        for name, target in self._wanted.items():
            try:
                found = endpoints_of(of_service[target.service], target)
            except PortUnclear as error:
                self._known.fail(name, str(error))
            except Exception as error:  # noqa: BLE001 - the others are all right
                self._known.fail(name, f"a slice can't be read: {told(error)}")
            else:
                self._known.tell(name, found)

    @override
    def failed(self, error: Exception) -> None:
        """Note an attempt that failed."""
        for name in self._wanted:
            self._known.fail(name, told(error))
