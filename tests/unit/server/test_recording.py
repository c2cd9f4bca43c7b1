"""What is written down of a request once it is answered."""

import pytest

from service.server.application import Application
from service.server.delivery import deliver
from service.server.recording import access_log, measure
from service.server.routes import Route
from tests.support.asgi import client


class Measured:
    """Keeps what was measured, and how many were in flight."""

    def __init__(self):
        self.in_flight = 0
        self.ended = []

    def begin(self):
        self.in_flight += 1

    def end(self, **values):
        self.in_flight -= 1
        self.ended.append(values)


async def read(ctx):
    return ctx.write_text(await ctx.read_text(), status=201)


ECHO = Route(path="/echo/{what}", handler=read, methods=("GET", "POST"))


def recorded(filter_, *routes):
    app = Application(filters=[filter_, deliver], body_limit=lambda: 1000)
    app.add(ECHO, *routes)
    return client(app)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_announced_body_is_measured_whatever_the_method(method):
    """A GET may have a body too."""
    measured = Measured()
    http = recorded(measure(measured))

    await http.request(method, "/echo/a", content=b"four")
    await http.request(method, "/echo/b")

    assert measured.in_flight == 0
    sizes = [(each["request_bytes"], each["response_bytes"]) for each in measured.ended]
    assert sizes == [(4, 4), (0, 0)]
    assert {each["route"] for each in measured.ended} == {"/echo/{what}"}
    assert {each["status"] for each in measured.ended} == {201}


async def test_ids_of_a_trace_are_on_the_line_of_their_request():
    """And on no other."""
    lines = []

    async def traced(ctx):
        ctx.trace = {"trace_id": "t"}
        return ctx.no_content()

    log = access_log(lambda **fields: lines.append(fields), wanted=bool)
    http = recorded(log, Route(path="/traced", handler=traced))

    await http.get("/traced")
    await http.get("/echo/a")

    assert [each.get("trace_id") for each in lines] == ["t", None]
    assert [each["path"] for each in lines] == ["/traced", "/echo/a"]
