"""
The tables, as the queries know them; how they come to be is in `migrations`.

Times are microseconds since 1970 in UTC, the same in every database. Text that is
searched or sorted is compared by code points (`C`), so that both databases keep the
same order and can use an index for the beginnings of words.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

__all__ = ["CODE_POINTS", "CONTACTS", "KEYS", "METADATA", "WORDS"]

METADATA = MetaData()

CODE_POINTS: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")

CONTACTS = Table(
    "contacts",
    METADATA,
    Column("id", CODE_POINTS, primary_key=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("number", CODE_POINTS, nullable=False),
    Column("email", Text),
    Column("note", Text),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("sort_key", CODE_POINTS, nullable=False),
)

WORDS = Table(
    "contact_words",
    METADATA,
    Column("word", CODE_POINTS, primary_key=True),
    Column("sort_key", CODE_POINTS, primary_key=True),
    Column(
        "contact_id",
        CODE_POINTS,
        ForeignKey("contacts.id", ondelete="CASCADE"),
        primary_key=True,
    ),
)
"""Words of the names, each with the order of its contact: what a search reads."""

KEYS = Table(
    "contact_keys",
    METADATA,
    Column("key", CODE_POINTS, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Idempotency keys, written in the same step as the contact that they belong to."""
