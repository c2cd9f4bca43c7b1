"""`httpserver log consume` and `tail`: where they begin."""

import pytest
import typer

from service.cli.log.consuming import _from, _start
from service.commitlog import Record
from service.commitlog.errors import OffsetOutOfRange
from service.commitlog.protocol import Offsets


class Client:
    """A log of ten records whose lowest offset rises whenever it is told."""

    def __init__(self) -> None:
        self.lowest = 0

    async def offsets(self) -> Offsets:
        self.lowest += 2
        return Offsets(self.lowest - 2, 10)

    async def offset_at(self, _timestamp: int) -> int:
        return (await self.offsets()).lowest

    async def follow(self, offset: int):
        for each in range(offset, 10):
            if each < self.lowest:
                raise OffsetOutOfRange(each, lowest=self.lowest, next_offset=10)
            yield [Record(b"x", offset=each)]

    between = follow


async def _offsets(batches):
    return [each.offset async for batch in batches for each in batch]


@pytest.mark.parametrize("start", ["earliest", -10])
@pytest.mark.parametrize("follow", [True, False])
async def test_start_that_is_no_offset_is_what_there_is(start, follow):
    """Retention took it meanwhile: what is left is printed."""
    assert await _offsets(_from(Client(), start, follow=follow)) == [*range(2, 10)]


async def test_offset_that_has_gone_is_told():
    """Who named it wants that record."""
    client = Client()
    client.lowest = 5
    with pytest.raises(OffsetOutOfRange):
        await _offsets(_from(client, 3, follow=False))


async def test_records_that_are_missed_on_the_way_are_told():
    """They are not left out without a word."""
    client, found = Client(), []

    async def read():
        async for batch in _from(client, "earliest", follow=True):
            found.append(batch[0].offset)
            client.lowest = 9

    with pytest.raises(OffsetOutOfRange):
        await read()
    assert found == [2]


@pytest.mark.parametrize("text", ["9" * 19, "-" + "9" * 5000, "--1", "²", "", "-"])
def test_number_that_is_no_offset_is_wrong_usage(text):
    """However long it is."""
    with pytest.raises(typer.BadParameter):
        _start(text)
