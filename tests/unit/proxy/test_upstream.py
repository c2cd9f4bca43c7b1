"""What an upstream's breaker learns of the attempts that fail."""

import pytest

from service.errors import RequestError
from service.proxy.failures import ClientLeft, ForbiddenAddress, NotConnected
from service.proxy.targets import Target
from service.proxy.upstream import Upstream
from service.resilience.circuit_breaker import BreakerLimits, State
from service.settings.proxy import ProxyRoute


@pytest.mark.parametrize(
    ("failure", "after", "probed"),
    [
        (NotConnected(), State.OPEN, State.OPEN),
        (ForbiddenAddress(), State.CLOSED, State.HALF_OPEN),
        (ClientLeft(), State.CLOSED, State.HALF_OPEN),
        (RequestError("too large", status=413), State.CLOSED, State.HALF_OPEN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_failure_that_is_nobodys_counts_neither_way(failure, after, probed):
    """It opens no breaker, and takes no probe's place for an answer."""
    route = ProxyRoute.model_validate({"path": "/up/", "upstream": "http://up:80"})
    breaker = Upstream(
        "up",
        Target(route),
        balancer=None,
        forbidden=tuple,
        limits=lambda: None,
        breaker=BreakerLimits(minimum_calls=3, open_for=0.001, probes=1),
        retry_ratio=0.1,
        observe=lambda _event: None,
        reused=lambda _reused: None,
    ).breaker
    now = [0.0]
    breaker.clock = lambda: now[0]

    def end(error, times):
        for _ in range(times):
            breaker.end(breaker.admit(), breaker.clock(), error)

    end(failure, 3)
    assert breaker.state is after
    if after is State.CLOSED:
        end(NotConnected(), 3)
    now[0] += 1.0
    end(failure, 1)
    assert breaker.state is probed
