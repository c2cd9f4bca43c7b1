"""What a file server tells its clients."""

from types import SimpleNamespace

import pytest

from service.cli.files.service import FileService, NoFile
from service.getting.calling import Refused

_PROBLEM = {"content-type": "application/problem+json"}
_GONE = SimpleNamespace(
    status=404,
    headers=_PROBLEM,
    attempts=1,
    json=lambda: {"detail": "There is no such file."},
)


class Caller:
    """Answers with the listings of directories."""

    def __init__(self, **listed: list[str]) -> None:
        self._listed = {f"/files/{k}/": names for k, names in listed.items()}

    async def json(self, _method, path, *, query):
        if path not in self._listed:
            raise Refused(_GONE)
        kinds = {True: "directory", False: "file"}
        items = [
            {"name": each.rstrip("/"), "type": kinds[each.endswith("/")]}
            for each in self._listed[path]
        ]
        return {"items": items, "next": None}


async def walked(*, start: str, **listed: list[str]) -> list[str]:
    service = FileService(Caller(**listed), streams=1)
    return [path async for path, _ in service.walk(start)]


async def test_directory_that_goes_while_it_is_walked_through_is_left_out():
    """Somebody removes its last file in between."""
    assert await walked(start="d/", d=["a", "gone/", "z"]) == ["d/a", "d/z"]


async def test_directory_that_is_not_there_is_told():
    """It was asked for by name."""
    with pytest.raises(NoFile):
        await walked(start="x/", d=[])
