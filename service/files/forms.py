"""
Files in a form, as a browser without scripts sends them: read as they come, so that no
more than a piece of them is in memory.

Source: RFC 7578; https://html.spec.whatwg.org/#multipart-form-data
"""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Literal

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import BadRequest

__all__ = ["FormFile", "form_files"]

_MAX_HEADERS = 8192
"""Bytes of headers that a part may have."""

_MAX_PARTS = 1000

_MAX_VALUE = 1024
"""Bytes of a field that are kept: it is none of the files."""

Event = tuple[Literal["header", "data", "end"], bytes]


class FormFile:
    """
    A file in a form.

    Args:
        name: Its last name, as the client has it.
        form: Where its content comes from.

    Attributes:
        name: The same.
    """

    def __init__(self, name: str, form: "_Form") -> None:
        self.name = name
        self._form = form

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield its content; it must be read before the next file is asked for."""
        while (event := await self._form.event())[0] == "data":
            yield event[1]


async def form_files(
    content_type: str, chunks: AsyncIterator[bytes], fields: dict[str, str]
) -> AsyncIterator[FormFile]:
    """
    Yield the files of a form; fields without a file are left out.

    Args:
        content_type: Value of `Content-Type`.
        chunks: The body.
        fields: Takes the other fields that came so far, as long as they are short.

    Raises:
        BadRequest: The form is malformed, or has too many parts.
    """
    form = _Form(content_type, chunks)
    parts = 0
    while (disposition := await form.next_part()) is not None:
        parts += 1
        if parts > _MAX_PARTS:
            raise BadRequest(f"A form has at most {_MAX_PARTS} parts.")
        name = _file_name(disposition)
        file = FormFile(name, form)
        if name:
            yield file
        else:
            value = b""
            async for data in file.chunks():
                value += data[: _MAX_VALUE - len(value)]
            fields[_field_name(disposition)] = value.decode("utf-8", "replace")


def _file_name(disposition: bytes) -> str:
    """Return the last name of the part's file; empty when it has none."""
    _, options = parse_options_header(disposition)
    given = options.get(b"filename", b"").decode("utf-8", "replace")
    # browsers write a quote and a line's end like this
    name = given.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return name.replace("\\", "/").rpartition("/")[2]


def _field_name(disposition: bytes) -> str:
    _, options = parse_options_header(disposition)
    return options.get(b"name", b"").decode("utf-8", "replace")


class _Form:
    """The parts of a form as events: one for its head, some for its data, an end."""

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise BadRequest("The form is malformed.")
        self._chunks = chunks
        self._events: deque[Event] = deque()
        self._field = b""
        self._value = b""
        self._disposition = b""
        self._headers = 0
        self._ended = False
        callbacks: Any = {
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError:
            raise BadRequest("The boundary of the form is too long.") from None

    async def next_part(self) -> bytes | None:
        """Return the disposition of the next part; None at the end of the form."""
        while not self._events and not self._ended:
            await self._more()
        if not self._events:
            return None
        return (await self.event())[1]

    async def event(self) -> Event:
        """Return what comes next."""
        while not self._events:
            await self._more()
        return self._events.popleft()

    async def _more(self) -> None:
        chunk = await anext(self._chunks, None)
        if chunk is None or self._ended:
            raise BadRequest("The form is malformed: it has no end.")
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise BadRequest("The form is malformed.") from None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._bound(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound(end - start)

    def _bound(self, size: int) -> None:
        self._headers += size
        if self._headers > _MAX_HEADERS:
            raise BadRequest("A part of the form has too long headers.")

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        self._events.append(("header", self._disposition))
        self._disposition, self._headers = b"", 0

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(("data", data[start:end]))

    def _on_part_end(self) -> None:
        self._events.append(("end", b""))

    def _on_end(self) -> None:
        self._ended = True
