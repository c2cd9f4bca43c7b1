"""A peer: the reverse proxy of an afternoon, made of Starlette and httpx2."""

import os

import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_HOP = {b"connection", b"host", b"keep-alive", b"te", b"transfer-encoding", b"upgrade"}


def proxy() -> Starlette:
    """Return the proxy, for the upstream that the environment names."""
    limits = httpx2.Limits(max_connections=512, max_keepalive_connections=512)
    upstream = os.environ["BENCH_UPSTREAM"]
    client = httpx2.AsyncClient(base_url=upstream, limits=limits)

    async def forward(request: Request) -> StreamingResponse:
        given = [pair for pair in request.headers.raw if pair[0] not in _HOP]
        if request.client is not None:
            given.append((b"x-forwarded-for", request.client.host.encode()))
        has_body = {"content-length", "transfer-encoding"} & set(request.headers)
        sent = client.build_request(
            request.method,
            httpx2.URL(path=request.url.path, query=request.url.query.encode()),
            headers=given,
            content=request.stream() if has_body else None,
        )
        answer = await client.send(sent, stream=True)
        response = StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            background=BackgroundTask(answer.aclose),
        )
        response.raw_headers = [
            pair for pair in answer.headers.raw if pair[0].lower() not in _HOP
        ]
        return response

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", forward, methods=methods)])
