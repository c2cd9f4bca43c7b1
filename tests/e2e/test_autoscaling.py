"""The HPA scales up under load and down again, for real."""

import asyncio

from tests.support.cluster import LIMIT, await_value, kubectl, loaded, namespace


async def test_replicas_follow_the_load(metrics_server):
    """More pods while there is load, fewer when it is gone, and no request fails."""
    with namespace("httpserver") as ns:
        kubectl("apply", "-k", "k8s/tests/autoscaled")
        ns.await_rollout()
        ns.await_https()

        def replicas() -> int:
            return ns.get("hpa", "httpserver")["status"].get("currentReplicas", 0)

        # a fresh deployment has its default of 1, or what the HPA made of its start
        await_value(replicas, lambda count: count == 1, limit=2 * LIMIT)
        ns.await_leavers()
        # fewer than `overload.min_in_flight`: one slow pod has to bear all of them
        async with loaded(ns, "/hello", clients=6, pause=0) as load:
            await asyncio.to_thread(
                await_value, replicas, lambda count: count == 3, limit=2 * LIMIT
            )
            await asyncio.to_thread(ns.await_rollout)
        down = await_value(replicas, lambda count: count < 3, limit=2 * LIMIT)

    assert load.failed == {}
    assert down in (1, 2)
