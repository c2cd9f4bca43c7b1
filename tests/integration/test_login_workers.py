"""A login with worker processes: whichever a connection comes to, the token is good."""

import json
import os
import signal
from functools import partial

import httpx2 as httpx
from argon2 import PasswordHasher

from tests.support.process import serving

USERS = json.dumps({"ann": PasswordHasher(1, 8, 1).hash("secret")})
LOGIN = {"username": "ann", "password": "secret"}


def test_token_of_one_worker_is_taken_by_all_without_a_key_in_the_settings():
    """Also by one that takes the place of another."""
    environment = {"HTTPSERVER_LOGIN__USERS": USERS}
    with serving(server__workers=2, environment=environment) as service:
        url = f"{service.url}/user/login"
        token = httpx.post(url, json=LOGIN, timeout=60).json()["access_token"]
        bearer = {"authorization": f"Bearer {token}"}

        def statuses():
            asked = partial(httpx.get, url, headers=bearer, timeout=60)
            return {asked().status_code for _ in range(40)}

        assert statuses() == {200}
        os.kill(service.events("worker_started")[0]["pid"], signal.SIGKILL)
        fresh = service.await_event("worker_started")["pid"]
        service.await_event("lifecycle", phase="ready", worker=fresh)
        assert statuses() == {200}
