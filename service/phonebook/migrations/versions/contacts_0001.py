"""Contacts, the words of their names, and idempotency keys."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    points = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "contacts",
        sa.Column("id", points, primary_key=True),
        sa.Column("first_name", sa.Text, nullable=False),
        sa.Column("last_name", sa.Text, nullable=False),
        sa.Column("number", points, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("sort_key", points, nullable=False),
    )
    op.create_index("contacts_number", "contacts", ["number"], unique=True)
    op.create_index("contacts_sort", "contacts", ["sort_key", "id"])
    op.create_table(
        "contact_words",
        sa.Column("word", points, primary_key=True),
        sa.Column("sort_key", points, primary_key=True),
        sa.Column(
            "contact_id",
            points,
            sa.ForeignKey("contacts.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("contact_words_contact", "contact_words", ["contact_id", "word"])
    op.create_table(
        "contact_keys",
        sa.Column("key", points, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("contact_keys_expiry", "contact_keys", ["expires_at"])
