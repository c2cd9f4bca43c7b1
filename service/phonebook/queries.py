"""
The questions, each answered from an index, however many contacts there are.

A page goes on after the key of the last contact before it (keyset pagination): the
thousandth page costs what the first does, and none repeats or leaves out a contact that
was there all the time.

A statement is made once for each shape of a question and kept: to put one together and
to compile it takes longer than the database takes to answer.

Source: https://use-the-index-luke.com/no-offset
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    func,
    select,
    tuple_,
)

from service.phonebook.store import Query, Sort
from service.phonebook.tables import CODE_POINTS, CONTACTS, WORDS

__all__ = ["page_of"]

_LAST = "\U0010ffff"
"""Sorts after all other characters."""

Columns = tuple[ColumnElement[Any], ...]


class _Shape(NamedTuple):
    """What the statement of a question depends on; all else is its parameters."""

    terms: int
    has_number: bool
    is_prefix: bool
    sort: Sort
    goes_on: bool


def page_of(query: Query) -> tuple[Select[Any], dict[str, Any], int]:
    """
    Return the statement of *query* for one contact more than its limit.

    Returns:
        The statement, its parameters, and how many columns at the end of its rows are
        the key.
    """
    # the longest term finds the fewest words
    terms = sorted(query.terms, key=len, reverse=True)
    number = query.number
    shape = _Shape(
        len(terms), number is not None, query.is_prefix, query.sort, bool(query.after)
    )
    beginnings = {f"term_{place}": term for place, term in enumerate(terms)}
    if number is not None:
        beginnings["number"] = number
    values = {"limit": query.limit + 1, **beginnings}
    values |= {f"{name}_end": text + _LAST for name, text in beginnings.items()}
    values |= {f"after_{place}": text for place, text in enumerate(query.after)}
    statement, width = _statement(shape)
    return statement, values, width


@lru_cache(maxsize=1024)
def _statement(shape: _Shape) -> tuple[Select[Any], int]:
    if shape.terms:
        return _by_words(shape)
    number = CONTACTS.c.number
    statement = select(CONTACTS)
    sort: str = shape.sort
    if shape.has_number and shape.is_prefix:
        statement, sort = statement.where(_begins(number, "number")), "number"
    elif shape.has_number:
        statement = statement.where(number == _given("number"))
    key: Columns = {
        "name": (CONTACTS.c.sort_key, CONTACTS.c.id),
        "created": (CONTACTS.c.id,),
        "number": (number,),
    }[sort.removeprefix("-")]
    return _after(statement, key, shape, falling=sort.startswith("-"))


def _by_words(shape: _Shape) -> tuple[Select[Any], int]:
    """
    Go along the words that begin with the longest term: it finds the fewest.

    What else must be true of a contact is asked by scalar subqueries, one contact after
    the other until the page is full: a planner may turn `EXISTS` into a join that reads
    every word there is.
    """
    first, *others = (f"term_{place}" for place in range(shape.terms))
    key: Columns = (WORDS.c.word, WORDS.c.sort_key, WORDS.c.contact_id)
    # A contact with two such words is found by the first of them alone. For `==` in
    # the place of `<=` PostgreSQL expects few, and sorts all before it takes a page.
    conditions = [_begins(WORDS.c.word, first), WORDS.c.word <= _first_word(first)]
    conditions += [_first_word(term).is_not(None) for term in others]
    if shape.has_number:
        there = CONTACTS.c.id == WORDS.c.contact_id
        number = select(CONTACTS.c.number).where(there).scalar_subquery()
        exact = number == _given("number")
        conditions.append(_begins(number, "number") if shape.is_prefix else exact)
    page, width = _after(select().where(*conditions), key, shape, falling=False)
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
    statement: Select[Any], key: Columns, shape: _Shape, *, falling: bool
) -> tuple[Select[Any], int]:
    if shape.goes_on:
        last = [bindparam(f"after_{n}", type_=String()) for n in range(len(key))]
        here, there = tuple_(*key), tuple_(*last)
        statement = statement.where(here < there if falling else here > there)
    order = [each.desc() if falling else each.asc() for each in key]
    named = [each.label(f"key_{place}") for place, each in enumerate(key)]
    statement = statement.add_columns(*named).order_by(*order)
    return statement.limit(bindparam("limit", type_=Integer())), len(key)


def _begins(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    return and_(column >= _given(prefix), column < _given(f"{prefix}_end"))


def _given(name: str) -> BindParameter[str]:
    return bindparam(name, type_=CODE_POINTS)
