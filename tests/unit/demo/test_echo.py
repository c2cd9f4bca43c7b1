"""`/echo` mirrors what came, and hides what is secret."""

import pytest

from tests.support.demo import DemoBench


async def echoed(method="POST", path="/echo", **request):
    answer = await DemoBench().client.request(method, path, **request)
    return answer.json()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_any_method_is_mirrored(method):
    """Method, path and query, of which each value is a list."""
    told = await echoed(method, "/echo?a=1&a=2&b=")

    assert told["method"] == method
    assert told["path"] == "/echo"
    assert told["query"] == {"a": ["1", "2"], "b": [""]}
    assert not {"json", "form", "text"} & set(told)


async def test_secret_headers_are_masked():
    """That they came is told, what they hold is not."""
    headers = {
        "Authorization": "Bearer t0ken",
        "Cookie": "session=t0ken",
        "Proxy-Authorization": "t0ken",
        "X-Custom": "seen",
    }

    told = (await echoed(headers=headers))["headers"]

    assert told["authorization"] == told["cookie"] == "***"
    assert told["proxy-authorization"] == "***"
    assert told["x-custom"] == "seen"


async def test_repeated_headers_are_joined():
    """Two lines of one name are one value, as RFC 9110 §5.3 has it."""
    told = await echoed(headers=[("x-a", "1"), ("x-a", "2")])

    assert told["headers"]["x-a"] == "1, 2"


@pytest.mark.parametrize("value", [{"a": [1, None]}, 10**30, "text", [], 0.5, "\0"])
async def test_json_is_mirrored(value):
    """Any JSON value, with integers of any length."""
    assert (await echoed(json=value))["json"] == value


async def test_bad_json_is_refused():
    """The client is told where it breaks."""
    answer = await DemoBench().client.post(
        "/echo", content=b"{", headers={"content-type": "application/json"}
    )

    assert answer.status_code == 400
    assert "line 1" in answer.json()["detail"]


async def test_form_is_mirrored():
    """Fields are lists; of a file name, type and size are told."""
    told = await echoed(data={"a": ["1", "2"]})
    parts = await echoed(data={"a": "1"}, files={"f": ("x.txt", b"1234", "text/x")})

    assert told["form"] == {"a": ["1", "2"]}
    assert parts["form"] == {
        "a": ["1"],
        "f": [{"filename": "x.txt", "content_type": "text/x", "size": 4}],
    }


@pytest.mark.parametrize(
    ("content", "text"), [(b"plain", "plain"), (b"\xff\x00", "\ufffd\0")]
)
async def test_other_bodies_are_text(content, text):
    """What is not UTF-8 becomes the replacement character."""
    told = await echoed(content=content, headers={"content-type": "text/plain"})

    assert told["text"] == text


async def test_lone_surrogates_of_a_form_are_replaced():
    """A charset can't bring the answer down."""
    body = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\\ud800\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x; charset=unicode_escape"

    told = await echoed(content=body, headers={"content-type": kind})

    assert told["form"] == {"a": ["?"]}
