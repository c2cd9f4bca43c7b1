"""
The questions, each answered from an index, however many contacts there are.

A page goes on after the key of the last contact before it (keyset pagination): the
thousandth page costs what the first does, and none repeats or leaves out a contact that
was there all the time.

Source: https://use-the-index-luke.com/no-offset
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, literal, select, tuple_

from service.phonebook.store import Query
from service.phonebook.tables import CONTACTS, WORDS

__all__ = ["page_of"]

_LAST = "\U0010ffff"
"""Sorts after all other characters."""

Columns = tuple[ColumnElement[Any], ...]


def page_of(query: Query) -> tuple[Select[Any], int]:
    """
    Return the statement of *query* for one contact more than its limit.

    Returns:
        The statement, and how many columns at the end of its rows are the key.
    """
    if query.terms:
        return _by_words(query)
    number = CONTACTS.c.number
    statement = select(CONTACTS)
    sort = query.sort
    if query.number is not None and query.is_prefix:
        statement, sort = statement.where(_begins(number, query.number)), "number"
    elif query.number is not None:
        statement = statement.where(number == query.number)
    key: Columns = {
        "name": (CONTACTS.c.sort_key, CONTACTS.c.id),
        "created": (CONTACTS.c.id,),
        "number": (number,),
    }[sort.removeprefix("-")]
    return _after(statement, key, query, falling=sort.startswith("-"))


def _by_words(query: Query) -> tuple[Select[Any], int]:
    """Go along the words that begin with the longest term: it finds the fewest."""
    terms = sorted(query.terms, key=len, reverse=True)
    key: Columns = (WORDS.c.word, WORDS.c.sort_key, WORDS.c.contact_id)
    earlier = WORDS.alias("earlier")
    # a contact with two such words is found by the first of them alone
    again = exists().where(
        earlier.c.contact_id == WORDS.c.contact_id,
        _begins(earlier.c.word, terms[0]),
        earlier.c.word < WORDS.c.word,
    )
    statement = (
        select(CONTACTS)
        .join(WORDS, WORDS.c.contact_id == CONTACTS.c.id)
        .where(_begins(WORDS.c.word, terms[0]), ~again)
    )
    for place, term in enumerate(terms[1:]):
        other = WORDS.alias(f"other_{place}")
        same = other.c.contact_id == WORDS.c.contact_id
        statement = statement.where(exists().where(same, _begins(other.c.word, term)))
    if query.number is not None:
        number = CONTACTS.c.number
        wanted = _begins(number, query.number)
        statement = statement.where(
            wanted if query.is_prefix else number == query.number
        )
    return _after(statement, key, query, falling=False)


def _after(
    statement: Select[Any], key: Columns, query: Query, *, falling: bool
) -> tuple[Select[Any], int]:
    if query.after:
        here, there = tuple_(*key), tuple_(*map(literal, query.after))
        statement = statement.where(here < there if falling else here > there)
    order = [each.desc() if falling else each.asc() for each in key]
    named = [each.label(f"key_{place}") for place, each in enumerate(key)]
    statement = statement.add_columns(*named).order_by(*order)
    return statement.limit(query.limit + 1), len(key)


def _begins(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    return and_(column >= prefix, column < prefix + _LAST)
