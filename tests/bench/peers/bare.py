"""A peer without any framework: what uvicorn itself costs."""

import json

from tests.bench.peers.answer import ANSWER


async def bare(_scope, _receive, send):
    """Answer without any framework."""
    body = json.dumps(ANSWER).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
