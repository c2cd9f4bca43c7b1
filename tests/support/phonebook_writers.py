"""
Writers of contacts over HTTP, which note what was acknowledged and what nobody knows.

They try nothing again: an answer is an acknowledgement or a refusal, no answer is
unknown, and what comes later is told apart from what was there before.
"""

import http.client
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from service.phonebook.model import Contact
from service.phonebook.rows import word_rows
from service.phonebook.sql_store import SqlStore
from service.phonebook.store import Query
from service.phonebook.tables import WORDS
from tests.support.phonebook import number

__all__ = ["CONTACTS", "Book", "check_whole", "values"]

CONTACTS = "/api/v1/contacts"
_CREATED = 201
_AWAY = 503
_PAGE = 5000


def values(place: int) -> dict[str, str]:
    """Return what is sent for one of many people; some of it is long."""
    note = f"{place} " * (place % 97)
    return {
        "first_name": f"Zoë{place % 251}",
        "last_name": f"Müller-Lüdenscheidt {place}",
        "number": number(place),
        "note": note.strip() or "-",
    }


class Book:
    """
    What the writers know of the contacts.

    Attributes:
        acknowledged: The service's answer, by place.
        unknown: Places that were sent and never answered.
        refused: Places that were answered with 503.
        wrong: Answers that are none of these.
    """

    def __init__(self) -> None:
        self.acknowledged: dict[int, dict[str, Any]] = {}
        self.unknown: set[int] = set()
        self.refused: set[int] = set()
        self.wrong: list[object] = []
        self._places = itertools.count()
        self._over = threading.Event()

    @contextmanager
    def writing(self, url: str, *, writers: int = 4) -> Iterator[None]:
        """Write to the service until the block ends, or the service does."""
        self._over.clear()
        threads = [
            threading.Thread(target=self._write, args=(url,)) for _ in range(writers)
        ]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self._over.set()
            for each in threads:
                each.join(90)
            assert not any(each.is_alive() for each in threads)

    def send(self, connection: http.client.HTTPConnection, place: int) -> None:
        """Send one contact, with an idempotency key when its place is even."""
        key = {"idempotency-key": f"key-{place}"} if place % 2 == 0 else {}
        headers = {"content-type": "application/json", **key}
        self.unknown.add(place)
        connection.request("POST", CONTACTS, json.dumps(values(place)), headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status == _CREATED:
            self.acknowledged[place] = document
        elif answer.status == _AWAY and answer.headers["retry-after"]:
            self.refused.add(place)
        else:
            self.wrong.append((place, answer.status, document))
        self.unknown.discard(place)

    def send_again(self, url: str) -> set[int]:
        """Send again what is unknown or was refused and has a key; return it."""
        places = {n for n in self.unknown | self.refused if n % 2 == 0}
        self.refused -= places
        connection = _connection(url)
        for place in sorted(places):
            self.send(connection, place)
        connection.close()
        return places

    def _write(self, url: str) -> None:
        connection = _connection(url)
        while not self._over.is_set():
            try:
                self.send(connection, next(self._places))
            except (OSError, http.client.HTTPException):  # killed, or cut
                connection.close()
                self._over.wait(0.02)
        connection.close()


async def check_whole(store: SqlStore, book: Book) -> int:
    """
    Fail unless all that was acknowledged is there, and nothing is there in part.

    Returns:
        How many contacts there are.
    """
    kept = {each.fields.number: each async for each in _everybody(store)}
    lost = [n for n, told in book.acknowledged.items() if not _same(kept, n, told)]
    sent = {number(n): n for n in {*book.acknowledged, *book.unknown, *book.refused}}
    changed = [n for n in kept if _sent(kept[n]) != values(sent[n])]
    words = [tuple(row.values()) for each in kept.values() for row in word_rows(each)]
    async with store._database.readers.connect() as connection:
        columns = (WORDS.c.word, WORDS.c.contact_id, WORDS.c.sort_key)
        found = (await connection.execute(select(*columns))).all()

    assert book.wrong == []
    assert lost == []
    assert changed == []
    assert sorted(map(tuple, found)) == sorted(words)
    return len(kept)


def _same(kept: dict[str, Contact], place: int, told: dict[str, Any]) -> bool:
    found = kept.get(number(place))
    return found is not None and found.id == told["id"] and found.version == 1


def _sent(contact: Contact) -> dict[str, str | None]:
    return {name: getattr(contact.fields, name) for name in values(0)}


async def _everybody(store: SqlStore):
    query = Query(sort="created", limit=_PAGE)
    while True:
        page = await store.find(query)
        for each in page.contacts:
            yield each
        if not page.last:
            return
        query = Query(sort="created", limit=_PAGE, after=page.last)


def _connection(url: str) -> http.client.HTTPConnection:
    place = urlsplit(url)
    return http.client.HTTPConnection(place.hostname, place.port, timeout=60)
