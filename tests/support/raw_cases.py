"""
Raw requests that servers disagree about: framing, headers, hosts, versions, methods,
JSON; each with its answers.

`expected` is read like this: `200 200` are two answers on a connection that stays open,
`400x` is one after which the server closes, `?` leaves that open, `or` is a choice.
Sources: RFC 9110, RFC 9112; the experiments with five servers that chose the cases.
"""

from dataclasses import dataclass

from tests.support.raw_http import get, post, request

__all__ = [
    "CASES",
    "CHUNKED",
    "HELLO",
    "JSON",
    "MALFORMED",
    "MARK",
    "Case",
    "json_post",
    "line",
]

MARK = b"still-in-step"
CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
LENGTH = b"Content-Length: 5"
HOST = b"Host: localhost"
JSON = b"Content-Type: application/json"


@dataclass(frozen=True)
class Case:
    """Bytes, the answers they may get, and bytes that follow the first answer."""

    id: str
    sent: bytes
    expected: str
    then: bytes = b""


def line(first: bytes) -> bytes:
    """Return a request of this line and a good host."""
    return request(first, HOST)


def field(header: bytes) -> bytes:
    """Return a GET request with one more header line."""
    return get(b"/hello", header)


def length(value: bytes, body: bytes = b"hello") -> bytes:
    """Return a POST request whose length is told so."""
    return post(b"Content-Length: " + value, body=body)


def coding(header: bytes, body: bytes = HELLO) -> bytes:
    """Return a POST request whose coding is told so, and a GET request."""
    return post(header, body=body) + get()


def chunks(body: bytes) -> bytes:
    """Return a chunked POST request with exactly this body."""
    return post(CHUNKED, body=body)


def json_post(path: bytes, body: bytes, *headers: bytes) -> bytes:
    """Return a POST request of a JSON body."""
    return post(*headers, b"Content-Length: %d" % len(body), body=body, path=path)


PIPELINES = [
    Case("h1-five_pipelined", get() * 5, "200 200 200 200 200"),
    Case("h2-slow_fast_fast", get(b"/delay/0.2") + get() * 2, "200 200 200"),
    Case("h3-post_and_get", post(LENGTH, body=b"hello") + get(), "200 200"),
    Case("h4-close_then_get", get(b"/hello", b"Connection: close") + get(), "200x"),
]

LENGTHS = [
    Case(
        "i01-length_and_chunked",
        post(b"Content-Length: 50", CHUNKED, body=b"0\r\n\r\n" + get()),
        "400x",
    ),
    Case(
        "i02-chunked_and_length",
        post(CHUNKED, b"Content-Length: 4", body=b"1e\r\n" + get() + b"0\r\n\r\n"),
        "400x",
    ),
    Case("i03-two_lengths_same", post(LENGTH, LENGTH, body=b"hello"), "400x"),
    Case(
        "i04-two_lengths_differ",
        post(LENGTH, b"Content-Length: 6", body=b"hello!"),
        "400x",
    ),
    Case("i05-length_list", length(b"5, 5"), "400x"),
    Case("i06-length_plus", length(b"+5"), "400x"),
    Case("i07-length_negative", length(b"-1"), "400x"),
    Case("i08-length_hex", length(b"0x5"), "400x"),
    Case("i09-length_underscore", length(b"5_0"), "400x"),
    Case("i09b-length_underscore", length(b"1_0"), "400x"),
    Case("i10-length_beyond_64_bits", length(b"18446744073709551617"), "400x"),
    Case("i10b-length_of_5000_digits", length(b"5".zfill(5000)), "400x"),
    Case("i10c-length_with_zeros", length(b"5".zfill(20)) + get(), "200 200"),
    Case("i11-length_empty", length(b""), "400x"),
    Case("i11b-blank_after_length", length(b"5 ") + get(), "200 200"),
]

CODINGS = [
    Case("i12-xchunked", coding(b"Transfer-Encoding: xchunked"), "400x or 501x"),
    Case(
        "i13-chunked_identity",
        coding(b"Transfer-Encoding: chunked, identity"),
        "400x or 501x",
    ),
    Case("i14-identity", coding(b"Transfer-Encoding: identity"), "400x or 501x"),
    Case(
        "i15-gzip_chunked", coding(b"Transfer-Encoding: gzip, chunked"), "400x or 501x"
    ),
    Case("i16-chunked_twice", post(CHUNKED, CHUNKED, body=HELLO) + get(), "400x"),
    Case("i17-space_before_colon", coding(b"Transfer-Encoding : chunked"), "400x"),
    Case("i17b-blank_after_coding", coding(CHUNKED + b" "), "200 200"),
    Case("i17c-blanks_after_coding", coding(CHUNKED + b" \t "), "200 200 or 400x"),
    Case("i18-vertical_tab", coding(b"Transfer-Encoding:\x0bchunked"), "400x or 501x"),
    Case("i19-folded", coding(b"Transfer-Encoding:\r\n chunked"), "400x"),
    Case(
        "i20-chunked_on_1.0",
        request(b"POST /echo HTTP/1.0", HOST, CHUNKED, body=HELLO),
        "400x",
    ),
]

CHUNKS = [
    Case("i21-size_g", chunks(b"g\r\nhello\r\n0\r\n\r\n"), "400x"),
    Case("i22-size_negative", chunks(b"-1\r\nhello\r\n0\r\n\r\n"), "400x"),
    Case("i23-size_0x", chunks(b"0x3\r\nabc\r\n0\r\n\r\n"), "400x"),
    Case("i24-size_17_digits", chunks(b"f" * 17 + b"\r\nhello\r\n0\r\n\r\n"), "400x"),
    Case("i25-extension", chunks(b"5;n=v\r\nhello\r\n0\r\n\r\n"), "200"),
    Case(
        "i26-extension_100_kb",
        chunks(b"5;" + b"n" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"),
        "400x or 413x or 200",
    ),
    Case("i27-line_feeds", chunks(b"5\nhello\n0\n\n"), "400x"),
    Case("i28-extension_with_lf", chunks(b"5;n\nhello\r\n0\r\n\r\n"), "400x"),
    Case("i29-data_without_crlf", chunks(b"5\r\nhello0\r\n\r\n"), "400x"),
    Case(
        "i30-trailer",
        chunks(b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n") + get(),
        "200 200",
    ),
]

HEADERS = [
    Case("i31-line_feeds_only", b"GET /hello HTTP/1.1\nHost: localhost\n\n", "400x"),
    Case("i32-one_line_feed", b"GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", "400x"),
    Case("i33-bare_cr_in_value", field(b"A: b\rc"), "400x"),
    Case("i34-nul_in_value", field(b"A: b\x00c"), "400x"),
    Case("i35-nul_in_name", field(b"A\x00: b"), "400x"),
    Case("i36-space_before_colon", field(b"A : b"), "400x"),
    Case("i37-folded", field(b"A: b\r\n c"), "400x"),
    Case("i38-first_is_indented", b"GET /hello HTTP/1.1\r\n Host: x\r\n\r\n", "400x"),
    Case("i38b-blanks_after_values", field(b"A: b \t"), "200"),
    Case("i38c-blank_after_host", request(b"GET /hello HTTP/1.1", HOST + b" "), "200"),
    Case("i39-empty_name", field(b": b"), "400x"),
    Case("i40-no_colon", field(b"nothing"), "400x"),
]

HOSTS = [
    Case("i41-no_host", request(b"GET /hello HTTP/1.1"), "400x"),
    Case("i42-two_hosts", field(b"Host: other"), "400x"),
    Case("i43-junk", request(b"GET /hello HTTP/1.1", b"Host: a b<>@/"), "400x"),
    Case("i44-absolute_form", line(b"GET http://other.example/hello HTTP/1.1"), "200"),
]

LINES = [
    Case("i45-version_1.2", line(b"GET /hello HTTP/1.2"), "400x"),
    Case("i46-version_2.0", line(b"GET /hello HTTP/2.0"), "505x"),
    Case("i46b-version_3.0", line(b"GET /hello HTTP/3.0"), "400x"),
    Case("i46c-other_protocol", line(b"GET /hello SIP/1.0"), "400x"),
    Case("i47-version_0.9", line(b"GET /hello HTTP/0.9"), "505x"),
    Case("i47b-no_version", b"GET /hello\r\n\r\n", "505x"),
    Case("i48-leading_crlfs", b"\r\n\r\n" + get(), "200"),
    Case("i49-two_spaces", line(b"GET  /hello HTTP/1.1"), "200"),
    Case("i50-tab", line(b"GET\t/hello HTTP/1.1"), "400x"),
    Case("i51-raw_utf8", line("GET /hellö HTTP/1.1".encode()), "400x"),
    Case("i52-nul", line(b"GET /hel\x00lo HTTP/1.1"), "400x"),
    Case(
        "i53-tls_hello",
        bytes.fromhex("16030100c4010000c00303") + bytes(range(190)),
        "400x",
    ),
    Case("i54-http2_preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400x"),
]

MANNERS = [
    Case(
        "i55-upgrade_h2c",
        get(
            b"/hello",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        "200",
    ),
    Case(
        "i55b-upgrade_and_get",
        get(b"/hello", b"Connection: Upgrade", b"Upgrade: h2c") + get(),
        "200 200 or 200x",
    ),
    Case(
        "i55c-upgrade_to_websocket",
        get(
            b"/hello",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        "200? or 400? or 403? or 404? or 426?",
    ),
    Case("i56-get_with_body", get(b"/hello", LENGTH) + b"hello" + get(), "200 200"),
    Case(
        "i57-continue",
        post(LENGTH, b"Expect: 100-continue"),
        "100 200",
        then=b"hello",
    ),
    Case(
        "i58-no_continue_for_404",
        post(LENGTH, b"Expect: 100-continue", path=b"/nothing"),
        "404?",
    ),
    Case("i59-underscore_header", field(b"a_b: c"), "200"),
    Case(
        "i60-answer_before_body",
        post(b"Content-Length: 1000000", path=b"/nothing") + get(),
        "404?",
    ),
]

METHODS = [
    Case("j1-head", line(b"HEAD /hello HTTP/1.1"), "200"),
    Case("j2-options", line(b"OPTIONS /hello HTTP/1.1"), "204 or 200"),
    Case("j3-options_star", line(b"OPTIONS * HTTP/1.1"), "200? or 204? or 404?"),
    Case("j4-trace", line(b"TRACE /hello HTTP/1.1"), "405?"),
    Case("j5-connect", line(b"CONNECT x:1 HTTP/1.1"), "400x or 405x"),
    Case("j6-unknown", line(b"FOO /hello HTTP/1.1"), "400x or 405? or 501?"),
    Case("j7-lower_case", line(b"get /hello HTTP/1.1"), "400x or 405? or 501?"),
    Case("j8-purge", line(b"PURGE /hello HTTP/1.1"), "405"),
    Case("j8b-m_search", line(b"M-SEARCH /hello HTTP/1.1"), "405"),
    Case("j9-post_to_get", line(b"POST /hello HTTP/1.1"), "405"),
    Case("j10-nul", line(b"GE\x00T /hello HTTP/1.1"), "400x"),
]

MALFORMED = {
    "m1-malformed": b"{a}",
    "m3-nan": b'{"name": "x", "amount": NaN}',
    "m4-nested_100k": b"[" * 100_000,
    "m5-not_utf8": b'{"name": "\xff"}',
    "m6-5000_digits": b"1" * 5_000,
    "m8-out_of_range": b'{"name": "x", "amount": 1e400}',
    "m9-lone_surrogate": b'{"name": "\\ud800"}',
}
"""Bodies that are not strict JSON."""

BODIES = [
    *(
        Case(f"{name}-{path.decode()}", json_post(path, body, JSON), expected)
        for name, body in MALFORMED.items()
        for path, expected in (
            (b"/json", "400"),
            (b"/echo", "400"),
            (b"/typed/json", "400"),
            (b"/typed/model", "400 or 422"),
            (b"/typed/any", "400 or 422"),
        )
    ),
    Case("m2-wrong_model", json_post(b"/typed/model", b'{"a": 1}', JSON), "400 or 422"),
    Case(
        "m7-no_content_type", json_post(b"/typed/model", b'{"name": "x"}'), "415 or 422"
    ),
    Case("m10-good_model", json_post(b"/typed/model", b'{"name": "x"}', JSON), "200"),
]

CASES = [
    *(PIPELINES + LENGTHS + CODINGS + CHUNKS + HEADERS),
    *(HOSTS + LINES + MANNERS + METHODS + BODIES),
]
