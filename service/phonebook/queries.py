"""
The questions, each answered from an index, however many contacts there are.

A page goes on after the key of the last contact before it (keyset pagination): the
thousandth page costs what the first does, and none repeats or leaves out a contact that
was there all the time.

Source: https://use-the-index-luke.com/no-offset
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, tuple_

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
    """
    Go along the words that begin with the longest term: it finds the fewest.

    What else must be true of a contact is asked by scalar subqueries, one contact after
    the other until the page is full: a planner may turn `EXISTS` into a join that reads
    every word there is.
    """
    first, *others = sorted(query.terms, key=len, reverse=True)
    key: Columns = (WORDS.c.word, WORDS.c.sort_key, WORDS.c.contact_id)
    # A contact with two such words is found by the first of them alone. For `==` in
    # the place of `<=` PostgreSQL expects few, and sorts all before it takes a page.
    conditions = [_begins(WORDS.c.word, first), WORDS.c.word <= _first_word(first)]
    conditions += [_first_word(term).is_not(None) for term in others]
    if query.number is not None:
        there = CONTACTS.c.id == WORDS.c.contact_id
        number = select(CONTACTS.c.number).where(there).scalar_subquery()
        wanted = number == query.number
        if query.is_prefix:
            wanted = and_(number >= query.number, number < query.number + _LAST)
        conditions.append(wanted)
    page, width = _after(select().where(*conditions), key, query, falling=False)
    found = page.subquery()
    keys = [found.c[f"key_{place}"] for place in range(width)]
    statement = select(CONTACTS, *keys).join(found, CONTACTS.c.id == found.c.key_2)
    return statement.order_by(*keys), width


def _first_word(prefix: str) -> Any:
    """Return the first word of the contact that begins with *prefix*, or null."""
    other = WORDS.alias()
    same = other.c.contact_id == WORDS.c.contact_id
    statement = select(func.min(other.c.word)).where(
        same, _begins(other.c.word, prefix)
    )
    return statement.correlate(WORDS).scalar_subquery()


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
