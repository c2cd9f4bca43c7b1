"""
The request context: everything a handler or filter reads of a request, and the writers
of its answer. FastAPI handlers get it as a dependency (`service.server.Context`).
"""

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from starlette.datastructures import FormData, Headers, QueryParams

from service.errors import FAILED, InternalError, RequestError, UnsupportedMediaType
from service.server import reading
from service.server.cookies import cookie_header, read_cookies
from service.server.heads import FixedHeaders
from service.server.priority import Priority
from service.server.responses import JSON, TEXT, Response, json_bytes, problem

__all__ = ["RequestContext"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_LOCATION_SAFE = ":/?#[]@!$&'()*+,;=%~-._"
"""Characters that a `Location` keeps: those of RFC 3986 and the percent sign."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class RequestContext:
    """
    One request and its answer.

    Attributes:
        scope: The ASGI scope.
        route: Template of the matched route, such as `/users/{id}`; empty before the
            route tree was asked, and where it found nothing.
        path_params: Values of the template's parameters, percent-decoded.
        handler: What the end of the filter chain calls.
        request_id: Set by the request-id filter; 1 to 128 visible ASCII characters.
        principal: Name of the authenticated caller, or None.
        deadline: `time.monotonic()` value at which the time-out filter gives up.
        client: Address of the client, behind trusted proxies only.
        scheme: `http` or `https`, as the client saw it behind trusted proxies.
        trusted_peer: Address of the trusted proxy that the request came through; empty
            when it came from the client itself, or from nobody who is trusted.
        limit: What the time-out filter keeps of this request.
        time_limit: Seconds that the handler may take, 0 for any; None for the service's
            own limit.
        timed_out: Whether it gave up.
        bulkhead: What the bulkheads' filter keeps of this request.
        probe: Whether the route is a probe or scrape, which is kept out of the log.
        quiet: Whether the handler asks for no line in the access log.
        part: Name of the part whose route it is; empty when none was found.
        priority: What the route may expect under overload.
        trace: Ids of the trace, for the log; empty where tracing is off.
        log_fields: Further fields of the line in the access log.
        exemplar: Labels that lead from the measurements to a trace that is kept.
        on_failure: Told what a handler failed of, where a trace is kept.
        began: `time.perf_counter()` value at which the application got the request.
        answered: `time.perf_counter()` value at which the answer counts as given, for a
            stream without an end of its own; None is when all of it was sent.
        response_headers: Raw pairs that are added to whatever answer is sent.
        fixed_headers: Headers of every answer, made ready for the wire.
        status: Status that was sent; 0 before.
        bytes_sent: Bytes of body that were sent; HEAD counts none.
        finished: Whether the whole answer was handed to the listener.
        body_limit: Largest body in bytes.

    Concurrency:
        Belongs to the task of its request.
    """

    # Slots, set one by one: an attribute that the class holds too until it is set is
    # slow to read and to set (CPython 3.13), and these are used at every request.
    __slots__ = (
        "_body",
        "_headers",
        "_query",
        "_raw",
        "_state",
        "answered",
        "began",
        "body_limit",
        "bulkhead",
        "bytes_sent",
        "client",
        "deadline",
        "exemplar",
        "finished",
        "fixed_headers",
        "handler",
        "limit",
        "log_fields",
        "method",
        "on_failure",
        "part",
        "path",
        "path_params",
        "principal",
        "priority",
        "probe",
        "quiet",
        "receive",
        "request_id",
        "response_headers",
        "route",
        "scheme",
        "scope",
        "send",
        "status",
        "time_limit",
        "timed_out",
        "trace",
        "trusted_peer",
    )

    handler: Callable[["RequestContext"], Awaitable[Response]]

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, body_limit: int
    ) -> None:
        self.began = time.perf_counter()
        # what the listener says
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.scheme: str = scope.get("scheme", "http")
        peer = scope.get("client")
        self.client: str = peer[0] if peer else ""
        self.trusted_peer = ""
        # what the route says
        self.route = ""
        self.path_params: Mapping[str, str] = _NOTHING
        self.probe = False
        self.quiet = False
        self.part = ""
        self.priority: Priority = "normal"
        self.time_limit: float | None = None
        self.body_limit = body_limit
        # what filters leave
        self.request_id = ""
        self.principal: str | None = None
        self.deadline: float | None = None
        self.limit: Hashable = None
        self.timed_out = False
        self.bulkhead: Any = None
        self.trace: Mapping[str, str] = _NOTHING
        self.log_fields: Mapping[str, object] = _NOTHING
        self.exemplar: Mapping[str, str] | None = None
        self.on_failure: Callable[[BaseException], None] | None = None
        self.fixed_headers: FixedHeaders | None = None
        self.response_headers: list[tuple[bytes, bytes]] = []
        # what became of it
        self.answered: float | None = None
        self.status = 0
        self.bytes_sent = 0
        self.finished = False
        # what is read when it is asked for
        self._body: bytes | None = None
        self._raw: dict[bytes, bytes] | None = None
        self._headers: Headers | None = None
        self._query: QueryParams | None = None
        self._state: dict[str, Any] | None = None

    @property
    def state(self) -> dict[str, Any]:
        """Whatever filters and handlers leave for each other."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def peer_name(self) -> str | None:
        """Name in the client's certificate, when TLS has verified one."""
        return self.scope.get("tls_peer_name")

    # -- reading ---------------------------------------------------------------

    @property
    def headers(self) -> Headers:
        """The request headers; names match in any case."""
        if self._headers is None:
            self._headers = Headers(raw=self.scope["headers"])
        return self._headers

    def raw_header(self, name: bytes) -> bytes | None:
        """Return the first value of *name* (lower case)."""
        if self._raw is None:
            self._raw = dict(reversed(self.scope["headers"]))
        return self._raw.get(name)

    @property
    def query(self) -> QueryParams:
        """The query parameters; `query.getlist(name)` gives repeated ones."""
        if self._query is None:
            self._query = QueryParams(self.scope.get("query_string", b""))
        return self._query

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name; malformed and ambiguous ones are left out."""
        return read_cookies("; ".join(self.headers.getlist("cookie")))

    @property
    def started(self) -> bool:
        """Whether the head of the answer is on the wire."""
        return self.status != 0

    async def read_body(self) -> bytes:
        """
        Return the whole body; a second call returns it again.

        Raises:
            ContentTooLarge: It is longer than `body_limit`.
            UnsupportedMediaType: It is compressed.
        """
        if self._body is None:
            reading.check_coding(self.raw_header(b"content-encoding"))
            length = self.raw_header(b"content-length")
            self._body = await reading.body_bytes(
                self.receive,
                length=None if length is None else length.decode("latin-1"),
                limit=self.body_limit,
            )
        return self._body

    async def read_text(self) -> str:
        """Return the body as UTF-8 text; bytes that are not become U+FFFD."""
        return (await self.read_body()).decode("utf-8", "replace")

    async def read_json(self) -> Any:
        """
        Return the JSON value of the body, read strictly.

        Raises:
            UnsupportedMediaType: The body is announced as something else.
            BadRequest: It is not JSON.
        """
        kind = reading.media_type(self.headers)
        if kind and not reading.is_json(kind):
            raise UnsupportedMediaType(
                "This route reads application/json.", headers={"accept": JSON}
            )
        return reading.json_value(await self.read_body())

    async def read_form(self) -> FormData:
        """
        Return the fields of a form.

        Raises:
            UnsupportedMediaType: The body is no form.
            BadRequest: The form is malformed.
        """
        return await reading.form_data(self.headers, await self.read_body())

    # -- writing ---------------------------------------------------------------

    def write_text(
        self, text: str, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return *text* in UTF-8; what UTF-8 can't hold becomes `?`."""
        body = text.encode("utf-8", "replace")
        return Response(body, status=status, media_type=TEXT, headers=headers)

    def write_html(
        self, html: str, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return a page."""
        kind = "text/html; charset=utf-8"
        return Response(html.encode(), status=status, media_type=kind, headers=headers)

    def write_json(
        self,
        value: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return *value* as JSON."""
        body = json_bytes(value)
        return Response(body, status=status, media_type=JSON, headers=headers)

    def write_status(self, status: int) -> Response:
        """Return *status* with its phrase as text; a problem document from 400 on."""
        if status < 400:  # noqa: PLR2004 - errors begin at 400
            return Response(status=status)
        return self._error(status, None)

    def write_problem(self, error: RequestError) -> Response:
        """Return *error* as RFC 9457 problem+json that carries the request id."""
        return problem(error, instance=self.request_id or None)

    def set_cookie(self, name: str, value: str, **options: Any) -> None:
        """
        Add a cookie to whatever answer is sent; `cookies.cookie_header` has *options*.

        Raises:
            ValueError: It is none that browsers would keep.
        """
        header = cookie_header(name, value, https=self.scheme == "https", **options)
        self.response_headers.append((b"set-cookie", header.encode("ascii")))

    def delete_cookie(self, name: str, *, path: str = "/") -> None:
        """Make the browser forget the cookie of this name and path."""
        self.set_cookie(name, "", path=path, max_age=0)

    def ok(self, value: object = None) -> Response:
        """200 with *value* as JSON, or without a body."""
        return Response() if value is None else self.write_json(value)

    def created(self, value: object, *, location: str) -> Response:
        """201 with *value* as JSON, and where it is now."""
        where = quote(location, safe=_LOCATION_SAFE)
        return self.write_json(value, status=201, headers={"location": where})

    def accepted(self, value: object = None) -> Response:
        """202: it will be done."""
        if value is None:
            return Response(status=202)
        return self.write_json(value, status=202)

    def no_content(self) -> Response:
        """204."""
        return Response(status=204)

    def redirect(self, location: str, *, status: int = 307) -> Response:
        """Send the client to *location*; 307 and 308 keep method and body."""
        where = quote(location, safe=_LOCATION_SAFE)
        return Response(status=status, headers={"location": where})

    def bad_request(self, detail: str) -> Response:
        """400: *detail* says what is wrong, without an echo of it."""
        return self._error(400, detail)

    def unauthorized(self, detail: str, *, scheme: str = "Bearer") -> Response:
        """401 with the scheme to authenticate by."""
        answer = self._error(401, detail)
        answer.add_header("www-authenticate", scheme)
        return answer

    def forbidden(self, detail: str) -> Response:
        """403."""
        return self._error(403, detail)

    def not_found(self, detail: str | None = None) -> Response:
        """404."""
        return self._error(404, detail)

    def conflict(self, detail: str) -> Response:
        """409."""
        return self._error(409, detail)

    def internal_error(self) -> Response:
        """500: the log has the cause under the request id."""
        return self.write_problem(InternalError(FAILED))

    def _error(self, status: int, detail: str | None) -> Response:
        return self.write_problem(RequestError(detail, status=status))
