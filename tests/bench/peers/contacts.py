"""
A phone book as FastAPI's and SQLAlchemy's tutorials have it: sessions in threads.

It uses the file that the environment's `BENCH_CONTACTS` names, with the tables of
`tests.bench.contacts`. Its journal is as durable as ours.
"""

import os
import time
import uuid
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

LAST = "\U0010ffff"


class Base(DeclarativeBase):
    """All tables."""


class Contact(Base):
    """A contact."""

    __tablename__ = "contacts"

    id: Mapped[str] = mapped_column(primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    number: Mapped[str]
    email: Mapped[str | None]
    note: Mapped[str | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]


class ContactIn(BaseModel):
    """What a client says."""

    first_name: str
    last_name: str
    number: str
    email: str | None = None
    note: str | None = None


class ContactOut(ContactIn):
    """What a client is told."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: int
    updated_at: int


class Contacts(BaseModel):
    """A page."""

    items: list[ContactOut]


def contacts():
    """Return the application; a factory for uvicorn."""
    engine = create_engine(
        f"sqlite:///{os.environ['BENCH_CONTACTS']}", connect_args={"timeout": 4}
    )
    event.listen(engine, "connect", durable)

    def session():
        with Session(engine) as opened:
            yield opened

    app = FastAPI()
    opened = Annotated[Session, Depends(session)]

    @app.get("/api/v1/contacts")
    def find(
        session: opened, number: str = "", q: str = "", limit: int = 50
    ) -> Contacts:
        statement = select(Contact).limit(limit)
        if number.endswith("*"):
            begin = number[:-1]
            statement = statement.where(
                Contact.number >= begin, Contact.number < begin + LAST
            ).order_by(Contact.number)
        elif number:
            statement = statement.where(Contact.number == number)
        else:
            statement = statement.where(
                Contact.last_name >= q, Contact.last_name < q + LAST
            ).order_by(Contact.last_name)
        return Contacts(
            items=[*map(ContactOut.model_validate, session.scalars(statement))]
        )

    @app.post("/api/v1/contacts", status_code=201)
    def add(session: opened, values: ContactIn) -> ContactOut:
        now = time.time_ns() // 1000
        contact = Contact(
            id=str(uuid.uuid4()), created_at=now, updated_at=now, **values.model_dump()
        )
        session.add(contact)
        try:
            session.commit()
        except IntegrityError:
            raise HTTPException(409, "another contact has this number") from None
        return ContactOut.model_validate(contact)

    return app


def durable(connection, _record):
    """Keep the journal as our service does."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
