"""The phone book's typed routes: what OpenAPI tells of them, and headers."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Response

from service.phonebook.answers import etag, has_version, versions
from service.phonebook.bodies import (
    ContactAnswer,
    ContactPatch,
    Contacts,
    ContactValues,
)
from service.phonebook.book import PhoneBook
from service.phonebook.model import Contact
from service.phonebook.store import Sort
from service.server.idempotency import REPLAYED
from service.server.typed_documents import IfMatch, IfNoneMatch, OnceKey, problems
from service.server.typed_routes import Context

__all__ = ["PATH", "router"]

PATH = "/api/v1/contacts"

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

Id = Annotated[
    str, Path(pattern=_UUID, examples=["01a1fe0e-d4bb-79d6-ac50-8342e5f2dfda"])
]
Words = Annotated[
    str,
    Query(
        max_length=200,
        description="Beginnings of words of the names, whatever their case and "
        "accents; each must be there.",
        examples=["ann mul"],
    ),
]
Number = Annotated[
    str,
    Query(
        max_length=41,
        description="The number, or a beginning of E.164 numbers with `*` at its end.",
        examples=["+4930*"],
    ),
]
Order = Annotated[
    Sort | None,
    Query(
        description="Order, `-` for backwards; `name` without. What `q` or a beginning "
        "of numbers finds comes in the order of the search."
    ),
]
Limit = Annotated[int, Query(ge=1, le=500, description="Most that are told.")]
Cursor = Annotated[str, Query(description="From `next` of the page before.")]

_problems = problems(
    {
        400: "A header or the cursor can't be read.",
        404: "There is no such contact.",
        409: "Another contact has this number.",
        412: "It has another version.",
        415: "The body is no JSON.",
        422: "The values are wrong, or the idempotency key belongs to another request.",
        428: "The change needs `If-Match`.",
        503: "The store is away; `Retry-After` says when to try again.",
    }
)


def router(book: PhoneBook) -> APIRouter:
    """Return the routes of the contacts in *book*."""
    found = APIRouter()
    _add_reading(found, book)
    _add_changing(found, book)
    return found


def _add_reading(found: APIRouter, book: PhoneBook) -> None:
    @found.get(PATH, summary="List contacts", responses=_problems(400, 422, 503))
    async def list_contacts(
        q: Words = "",
        number: Number = "",
        sort: Order = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> Contacts:
        page, following = await book.find(
            q=q, number=number, sort=sort, limit=limit, cursor=cursor
        )
        asked = {"q": q, "number": number, "sort": sort, "limit": limit}
        kept = {name: value for name, value in asked.items() if value}
        return Contacts(
            items=[ContactAnswer.of(each) for each in page.contacts],
            next=(following and f"{PATH}?{urlencode({**kept, 'cursor': following})}")
            or None,
        )

    @found.get(
        PATH + "/{contact_id}",
        summary="Tell a contact",
        response_model=ContactAnswer,
        responses={304: {"description": "The client has it."}, **_problems(404, 503)},
    )
    async def get_contact(
        answer: Response, contact_id: Id, if_none_match: IfNoneMatch = None
    ) -> ContactAnswer | Response:
        contact = await book.get(contact_id)
        if has_version(if_none_match, contact):
            return Response(status_code=304, headers={"etag": etag(contact)})
        return _told(answer, contact)


def _add_changing(found: APIRouter, book: PhoneBook) -> None:
    @found.post(
        PATH,
        status_code=201,
        summary="Add a contact, once for an idempotency key",
        responses=_problems(400, 409, 415, 422, 503),
    )
    async def add_contact(
        ctx: Context, answer: Response, values: ContactValues, _key: OnceKey = None
    ) -> ContactAnswer:
        added = await book.add(ctx, values.model_dump())
        answer.headers["location"] = f"{PATH}/{added.contact.id}"
        if added.replayed:
            answer.headers[REPLAYED] = "true"
        return _told(answer, added.contact)

    @found.put(
        PATH + "/{contact_id}",
        summary="Replace a contact",
        responses=_problems(404, 409, 412, 415, 422, 428, 503),
    )
    async def replace_contact(
        answer: Response,
        contact_id: Id,
        values: ContactValues,
        if_match: IfMatch = None,
    ) -> ContactAnswer:
        wanted = versions(if_match, needed=True)
        changed = await book.replace(contact_id, values.model_dump(), versions=wanted)
        return _told(answer, changed)

    @found.patch(
        PATH + "/{contact_id}",
        summary="Change some values of a contact",
        responses=_problems(404, 409, 412, 415, 422, 428, 503),
    )
    async def patch_contact(
        answer: Response,
        contact_id: Id,
        changes: ContactPatch,
        if_match: IfMatch = None,
    ) -> ContactAnswer:
        wanted = versions(if_match, needed=True)
        told = changes.model_dump(exclude_unset=True)
        return _told(answer, await book.patch(contact_id, told, versions=wanted))

    @found.delete(
        PATH + "/{contact_id}",
        status_code=204,
        summary="Take a contact away",
        responses=_problems(404, 412, 503),
    )
    async def delete_contact(contact_id: Id, if_match: IfMatch = None) -> None:
        await book.delete(contact_id, versions=versions(if_match, needed=False))


def _told(answer: Response, contact: Contact) -> ContactAnswer:
    answer.headers["etag"] = etag(contact)
    return ContactAnswer.of(contact)
