"""The peers: the same answer as `/version`, by other means."""

import json

from fastapi import FastAPI

ANSWER = {"name": "httpserver", "version": "0.1.0", "python": "3.x", "host": "bench"}

fastapi_app = FastAPI()


@fastapi_app.get("/version")
async def version():
    """Answer as our `/version` does."""
    return ANSWER


async def bare(_scope, _receive, send):
    """Answer without any framework."""
    body = json.dumps(ANSWER).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
