"""Alembic's entry: runs the changes on the connection that `migrating` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="phonebook_version",
    transaction_per_migration=False,
)
context.run_migrations()
