"""Settings of the phone book."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from service.settings.fields import Bytes, Port, Seconds, Section, live

__all__ = ["PhonebookSettings", "PostgresqlSettings"]


class PostgresqlSettings(Section):
    """Where the contacts are, with `phonebook.store: postgresql`."""

    url: SecretStr | None = live(
        None,
        "All in one, such as `postgresql://user:password@host/database`: what it names "
        "wins over the settings below, for connections made from now on.",
    )
    host: str = Field(
        "localhost",
        description="Host, or several with commas between them: the one that takes "
        "writes is used, which is how a failover is followed.",
        pattern=r"^[A-Za-z0-9._:/,-]+$",
    )
    port: Port = Field(5432, description="Port of each host.")
    database: str = Field("phonebook", description="Name of the database.")
    user: str = Field("phonebook", description="User of the database.")
    password: SecretStr | None = live(
        None, "Password of the user; connections made from now on show it."
    )
    tls: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "verify-full",
        description="libpq's `sslmode`: below `verify-full` an attacker in between may "
        "read along.",
    )
    ca_file: str = Field(
        "", description="Authorities that are believed, PEM; those of the system "
        "without."
    )  # fmt: skip
    cert_file: str = Field("", description="Certificate of this client, PEM.")
    key_file: str = Field("", description="Its key, PEM.")
    pool_size: int = Field(
        10, description="Most connections of each process.", ge=1, le=1000
    )
    pool_timeout: Seconds = Field(
        2.0, description="Seconds to wait for a free connection; 503 after them.", gt=0
    )
    connect_timeout: int = Field(
        2, description="Seconds to wait for each host.", ge=1, le=60
    )
    statement_timeout: Seconds = Field(
        4.0, description="Seconds that one statement may take; 503 after them.", gt=0
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else "postgres://"
        if not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("a URL of PostgreSQL begins with postgresql://")
        return value


class PhonebookSettings(Section):
    """`/api/v1/contacts`: names and telephone numbers, kept in a database."""

    enabled: bool = Field(False, description="Serve the phone book.")
    store: Literal["sqlite", "postgresql"] = Field(
        "sqlite",
        description="Where the contacts are: a file of this pod, or a server that "
        "several replicas share.",
    )
    sqlite_path: str = Field(
        "phonebook.sqlite3", description="File of the contacts.", min_length=1
    )
    postgresql: PostgresqlSettings = PostgresqlSettings()
    migrate: bool = Field(
        True,
        description="Bring the schema up to date at the start; without, `httpserver "
        "phonebook migrate` does.",
    )
    timeout: Seconds = live(
        5.0,
        "Seconds for one operation of the store with its retries; 503 after them.",
        gt=0,
    )
    region: str = live(
        "",
        "Country of numbers without a `+`, as ISO 3166 has it, such as `DE`; without "
        "it they are refused.",
        pattern=r"^([A-Z]{2})?$",
    )
    plain_paths: bool = live(
        False,
        "Serve `/list`, `/status`, `/search/…`, `/insert/…` and `/delete/…` too: GET "
        "requests that change contacts, for simple clients in a trusted network.",
    )
    idempotency_ttl: Seconds = live(
        86_400.0, "Seconds that the answer to an `Idempotency-Key` is kept.", gt=0
    )
    max_import_bytes: Bytes = Field(
        1_000_000_000, description="Largest file that an import takes, in bytes."
    )
