"""Settings of the phone book: what is refused at the start, and what is not shown."""

import pytest
from pydantic import ValidationError

from service.settings import PostgresqlSettings


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_url_of_postgresql_is_taken_and_kept_secret(scheme):
    """Both of libpq's schemes; the text never shows."""
    found = PostgresqlSettings(url=f"{scheme}://ann:s3cret@db/book")

    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    "url", ["", "db", "mysql://db/book", "postgresql+psycopg://db"]
)
def test_url_of_something_else_is_refused(url):
    """At the start, not at the first request."""
    with pytest.raises(ValidationError, match="begins with postgresql://"):
        PostgresqlSettings(url=url)
