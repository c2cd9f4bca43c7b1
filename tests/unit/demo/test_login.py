"""The login: who gets a token, who doesn't, and what it can't be made to do."""

import asyncio
import base64
import io
import threading

import jwt
import pytest
import structlog
from argon2.exceptions import VerifyMismatchError
from pydantic import SecretStr

from service.demo.passwords import Passwords
from service.observability.logging import configure
from service.settings import LoginSettings, LogSettings
from tests.support.demo import HASHER, KEY, LoginBench

URL = "/user/login"


async def test_right_password_gets_a_token_that_tells_the_user():
    """The token names the user and the seconds it is still good for."""
    bench = LoginBench()

    answer = await bench.log_in()
    token = answer.json()["access_token"]
    bench.now += 100
    told = await bench.who(token)

    assert answer.status_code == 200
    assert answer.json() == {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 900,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert told.json() == {"username": "ann", "expires_in": 800}
    assert bench.results == ["success"]


async def test_token_carries_the_registered_claims():
    """Issuer, subject, times and a number of its own are signed by the key."""
    bench = LoginBench()

    first, second = [(await bench.log_in()).json()["access_token"] for _ in range(2)]
    options = {"verify_iat": False, "verify_exp": False}
    key = KEY.get_secret_value()
    claims = jwt.decode(first, key, algorithms=["HS256"], options=options)
    other = jwt.decode(second, key, algorithms=["HS256"], options=options)

    assert claims["iss"] == "demo"
    assert claims["sub"] == "ann"
    assert claims["exp"] - claims["iat"] == 900
    assert claims["jti"] != other["jti"]


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_form_is_read_like_json(kind):
    """Both kinds of form log in."""
    fields = {"username": "ann", "password": "secret"}
    form = (
        {"data": fields}
        if kind == "urlencoded"
        else {"files": {name: (None, value) for name, value in fields.items()}}
    )

    answer = await LoginBench().client.post(URL, **form)

    assert answer.status_code == 200


async def test_unknown_user_and_wrong_password_get_the_same_answer():
    """Nothing in the answer tells whether a name is there."""
    bench = LoginBench()

    wrong = await bench.log_in(password="wrong")
    unknown = await bench.log_in(username="bob")

    answers = [answer.json() for answer in (wrong, unknown)]
    for answer in answers:
        answer.pop("instance")
    assert answers[0] == answers[1]
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.headers["www-authenticate"] == 'Bearer realm="demo"'
    assert bench.results == ["wrong", "wrong"]


async def test_unknown_user_costs_a_hash_too():
    """The password is checked against a hash even when the name is not there."""
    checked = []

    class Recording:
        def verify(self, hashed, password):
            checked.append(hashed)
            return True

    passwords = Passwords(hasher=Recording())
    found = await passwords.check({"ann": SecretStr("hash")}, "bob", "x")
    nobody = await passwords.check({}, "bob", "x")

    assert not found
    assert not nobody
    assert checked[0] == "hash"
    assert checked[1].startswith("$argon2id$")


async def test_too_many_attempts_are_told_when_to_come_back():
    """429 with whole seconds; other names and other clients are not held up."""
    bench = LoginBench(attempts_per_minute=2)
    for _ in range(2):
        await bench.log_in(password="wrong")

    refused = await bench.log_in()
    other = await bench.log_in(username="bob")

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) in (29, 30)
    assert other.status_code == 401
    assert bench.results == ["wrong", "wrong", "throttled", "wrong"]


async def test_less_than_one_attempt_a_minute_is_possible():
    """A rate below one still grants the first attempt."""
    bench = LoginBench(attempts_per_minute=0.5)

    assert (await bench.log_in()).status_code == 200
    assert (await bench.log_in()).headers["retry-after"] == "120"


async def test_too_many_logins_at_a_time_are_refused():
    """What would wait for long gets 503 at once, and the places come free again."""
    entered, go = threading.Event(), threading.Event()

    class Slow:
        def verify(self, _hashed, _password):
            entered.set()
            go.wait(30)
            raise VerifyMismatchError

    passwords = Passwords(threads=1, queue=1, hasher=Slow())
    users = {"ann": SecretStr("hash")}
    waiting = [asyncio.create_task(passwords.check(users, "ann", "x")) for _ in "12"]
    await asyncio.to_thread(entered.wait, 10)

    with pytest.raises(Exception, match="Too many logins") as refused:
        await passwords.check(users, "ann", "x")
    go.set()

    assert await asyncio.gather(*waiting) == [False, False]
    assert refused.value.headers == {"retry-after": "1"}
    assert await passwords.check(users, "ann", "x") is False


async def test_client_that_leaves_does_not_free_a_busy_thread():
    """A cancelled check keeps its place until the thread is done with it."""
    entered, go, left = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        def verify(self, _hashed, _password):
            entered.set()
            go.wait(30)
            left.set()
            return True

    passwords = Passwords(threads=1, queue=0, hasher=Slow())
    users = {"ann": SecretStr("hash")}
    leaving = asyncio.create_task(passwords.check(users, "ann", "x"))
    await asyncio.to_thread(entered.wait, 10)
    leaving.cancel()
    await asyncio.wait([leaving])

    with pytest.raises(Exception, match="Too many logins"):
        await passwords.check(users, "ann", "x")
    go.set()
    await asyncio.to_thread(left.wait, 10)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, [["body", "username"], ["body", "password"]]),
        ({"username": "ann"}, [["body", "password"]]),
        ({"username": "ann", "password": None}, [["body", "password"]]),
        ({"username": ["ann"], "password": "x"}, [["body", "username"]]),
        ({"username": "ann", "password": ""}, [["body", "password"]]),
        ({"username": "ann", "password": "x" * 1025}, [["body", "password"]]),
        ({"username": "a" * 257, "password": "x"}, [["body", "username"]]),
        ([], [["body"]]),
        (7, [["body"]]),
    ],
)
async def test_unusable_fields_are_named(body, where):
    """422 tells each field that is wrong, before anything is hashed."""
    bench = LoginBench()

    answer = await bench.client.post(URL, json=body)

    assert answer.status_code == 422
    assert [each["loc"] for each in answer.json()["errors"]] == where
    assert bench.results == ["malformed"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"username":"\\ud800","password":"x"}', "application/json", 400),
        (b'{"username":"a\\u0000","password":"\\u0000"}', "application/json", 401),
        (b"username=%00&password=%ff", "application/x-www-form-urlencoded", 401),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data", 400),
    ],
)
async def test_hostile_bodies_are_the_clients_error(content, kind, status):
    """NUL bytes, halves of surrogate pairs and broken bodies never become a 500."""
    answer = await LoginBench().client.post(
        URL, content=content, headers={"content-type": kind}
    )

    assert answer.status_code == status


async def test_form_that_decodes_to_a_surrogate_is_refused():
    """A charset can smuggle in what no hash takes: 422."""
    field = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = field.format("username", "ann") + field.format("password", "\\ud800")
    kind = "multipart/form-data; boundary=x; charset=unicode_escape"

    answer = await LoginBench().client.post(
        URL, content=body + "--x--\r\n", headers={"content-type": kind}
    )

    assert answer.status_code == 422


async def test_file_in_place_of_a_field_is_refused():
    """An uploaded file is no password."""
    answer = await LoginBench().client.post(
        URL, data={"username": "ann"}, files={"password": ("p.txt", b"secret")}
    )

    assert answer.status_code == 422


async def test_request_without_token_is_asked_for_one():
    """401 names the scheme."""
    answer = await LoginBench().client.get(URL)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="demo"'


def forged(**changes):
    """Return a token like ours with *changes* in its claims."""
    claims = {
        "iss": "demo",
        "sub": "ann",
        "iat": 1_800_000_000,
        "exp": 1_800_000_900,
        "jti": "1",
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, KEY.get_secret_value(), algorithm="HS256")


def deeply_nested():
    """Return a token whose head is nested deeper than the reader goes."""
    head = b'{"alg":' + b"[" * 1400 + b"]" * 1400 + b"}"
    return base64.urlsafe_b64encode(head).rstrip(b"=").decode() + ".e30.AA"


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "\u00e9.\u00e9.\u00e9",
        "x" * 100_000,
        deeply_nested(),
        forged(iss="other"),
        forged(exp=1_800_000_000),
        forged(exp="never"),
        forged(jti=None),
        forged(sub="bob"),
        forged(sub=7),
        jwt.encode({"sub": "ann"}, "", algorithm="none"),
        jwt.encode({"sub": "ann"}, "k" * 64, algorithm="HS512"),
        forged()[:-3],
    ],
)
async def test_token_that_is_not_ours_is_refused(token):
    """Forged, foreign, expired and broken tokens all get 401 `invalid_token`."""
    headers = {"authorization": f"Bearer {token}".encode("latin-1")}

    answer = await LoginBench().client.get(URL, headers=headers)

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_forged_token_differs_from_a_good_one_only_in_what_is_forged():
    """The token that the cases above are made of is valid by itself."""
    assert (await LoginBench().who(forged())).status_code == 200


async def test_new_settings_take_effect_at_the_next_login():
    """Users, lifetime and key are read for each request."""
    bench = LoginBench()
    token = (await bench.log_in()).json()["access_token"]
    users = {"bob": SecretStr(HASHER.hash("other"))}
    bench.settings = LoginSettings(users=users, token_key=KEY, token_ttl=5)

    gone = await bench.who(token)
    answer = await bench.log_in("bob", "other")

    assert gone.status_code == 401
    assert answer.json()["expires_in"] == 5


async def test_service_without_key_makes_one_and_warns_once(capture_log):
    """Each process signs with a key of its own, and says so when it starts."""
    bench = LoginBench(token_key=None)
    other = LoginBench(token_key=None)

    token = (await bench.log_in()).json()["access_token"]

    assert (await bench.who(token)).status_code == 200
    assert (await other.who(token)).status_code == 401
    assert capture_log().count("token_key_missing") == 2


async def test_nothing_secret_is_logged(capture_log):
    """Neither passwords nor hashes nor tokens reach the log, nor do wrong names."""
    bench = LoginBench()
    token = (await bench.log_in()).json()["access_token"]
    await bench.log_in("my-password-by-mistake", "hidden")

    log = capture_log()
    assert "logged_in" in log
    for secret in ("secret", "hidden", "by-mistake", token, "argon2", "k" * 32):
        assert secret not in log


@pytest.mark.parametrize("stored", ["plain", "$argon2id$v=19$broken", ""])
async def test_unusable_hash_in_the_settings_is_logged_and_refused(stored, capture_log):
    """The client gets the answer of a wrong password, the operator an error."""
    bench = LoginBench(users={"ann": SecretStr(stored)})

    answer = await bench.log_in()

    assert answer.status_code == 401
    assert "password_hash_unusable" in capture_log()


@pytest.fixture
def capture_log():
    """Return a function that gives the log so far as it would be written."""
    stream = io.StringIO()
    configure(LogSettings(level="debug", format="json"), stream=stream)
    yield stream.getvalue
    configure(LogSettings(), stream=io.StringIO())
    structlog.reset_defaults()
