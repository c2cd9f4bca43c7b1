"""
Changes of the schema, in their order, by alembic.

Old and new replicas run at once during a rolling update, so a change only adds: a
column with a default or that may be null, a table, an index. What nobody reads any more
is taken away one release later. A change that was released is never edited.
"""
