"""
The pages, put together: their routes, and the front page.

The front page has no route. It is what `/` answers a browser, whatever stands there for
programs; so it is a filter, and nothing at `/` has to know of it. The page of the
fan-out is the same.
"""

from collections.abc import Callable
from functools import partial

from service.feature import Core, Feature
from service.observability.route_latency import RouteLatency
from service.server.application import Filter
from service.server.around import Around
from service.server.context import RequestContext
from service.server.negotiation import prefers_html
from service.server.routes import Handler
from service.web.latency import latency_route
from service.web.pages import Pages

__all__ = ["feature", "front_page"]

FRONT = "/"
FAN_OUT = "/fan-out"


def feature(core: Core) -> Feature:
    """Return the pages, the filter of the front page, and the latency it draws."""
    settings = core.store.current
    calling = settings.fan_out.enabled
    linked = {
        "fan_out": calling,
        "files": settings.files.enabled,
        "log": settings.log_service.enabled and settings.log_service.http.enabled,
        "phonebook": settings.phonebook.enabled,
    }
    pages = Pages(features=[name for name, is_on in linked.items() if is_on])
    front = front_page(pages.front, enabled=partial(_flag, core, "page"))
    latency = RouteLatency(partial(core.metrics.latency_counts, FRONT))
    told = latency_route(
        latency,
        settings=lambda: core.store.current,
        flag=lambda name, ctx: _flag(core, name, ctx),
    )
    shown = [front]
    if calling:
        flag = partial(_flag, core, "page")
        shown.append(front_page(pages.fan_out, enabled=flag, path=FAN_OUT))
    return Feature(routes=[*pages.routes(), told], filters=shown, parts=[latency])


def _flag(core: Core, name: str, ctx: RequestContext) -> bool:
    return core.flags.boolean(name, ctx, default=True)


def front_page(
    page: Handler, *, enabled: Callable[[RequestContext], bool], path: str = FRONT
) -> Filter:
    """
    Return the filter that answers a browser at *path* with *page*.

    Args:
        page: Answers the page.
        enabled: Whether it does, asked at each request.
        path: Where it does.
    """

    def front(ctx: RequestContext) -> None:
        if ctx.path != path or ctx.method not in ("GET", "HEAD"):
            return
        # caches must keep the two answers apart
        ctx.response_headers.append((b"vary", b"Accept"))
        if enabled(ctx) and prefers_html(ctx.headers.get("accept", "")):
            ctx.handler = page

    return Around(front)
