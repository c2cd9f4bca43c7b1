"""
Adding, changing and deleting by forms: done, and on to the list by 303 (See Other).

Whatever is refused comes back as the same form with all that was entered: nobody types
a contact twice. Where somebody else was faster, the form tells what is there now, and
sending it again is a decision.
"""

import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from service.errors import RequestError
from service.phonebook.book import PhoneBook
from service.phonebook.model import Contact
from service.phonebook.page_forms import (
    Form,
    form_of,
    problems,
    read_form,
)
from service.phonebook.page_views import COOKIE, Views, root
from service.server.context import RequestContext
from service.server.form_origin import check_origin, has_token
from service.server.responses import Response

__all__ = ["Changes"]

_FORBIDDEN, _GONE, _TAKEN, _CHANGED, _WRONG, _AWAY = 403, 404, 409, 412, 422, 503

_TOLD = {
    _FORBIDDEN: "Nothing was saved: this form was open for too long, or another tab "
    "replaced it. If you have filled it in yourself, send it again.",
    _GONE: "Somebody has deleted this contact meanwhile. You can add it again.",
    _TAKEN: "Nothing was saved: another contact has this number.",
    _CHANGED: "Nothing was saved: somebody has changed this contact since you opened "
    "it. Below each field is what is there now.",
    _WRONG: "Nothing was saved: please look at what is marked.",
    _AWAY: "The phone book does not answer. What you entered is still here: send it "
    "again in a moment.",
}
_TWICE = (
    "Something else was sent by this form before, and may have been saved. Look in the "
    "list, or send this one again as a contact of its own."
)


class Changes:
    """
    The pages that change contacts.

    Args:
        book: The contacts.
        views: Renders.
    """

    def __init__(self, book: PhoneBook, views: Views) -> None:
        self._book = book
        self._views = views

    async def new(self, ctx: RequestContext) -> Response:
        """Answer the empty form."""
        return self._form(ctx, Form(q=ctx.query.get("q", "")))

    async def edit(self, ctx: RequestContext) -> Response:
        """Answer the form with a contact in it."""
        contact = await self._book.get(_id(ctx))
        form = form_of(contact, q=ctx.query.get("q", ""))
        return self._form(ctx, form, contact_id=contact.id)

    async def ask(self, ctx: RequestContext) -> Response:
        """Answer the question whether to delete: there is no undo without a script."""
        contact = await self._book.get(_id(ctx))
        return self._question(ctx, contact, q=ctx.query.get("q", ""))

    async def add(self, ctx: RequestContext) -> Response:
        """Keep a new contact."""
        form = await _sent(ctx)
        if refused := self._wrong(ctx, form):
            return refused
        try:
            added = await self._book.add(ctx, form.values, key=form.once or None)
        except RequestError as error:
            return await self._refused(ctx, form, error)
        return _done(ctx, "added", form, added.contact)

    async def change(self, ctx: RequestContext) -> Response:
        """Replace a contact, if nobody has changed it since the form was made."""
        form, contact_id = await _sent(ctx), _id(ctx)
        if refused := self._wrong(ctx, form, contact_id=contact_id):
            return refused
        try:
            changed = await self._book.replace(
                contact_id, form.values, versions=form.versions
            )
        except RequestError as error:
            return await self._refused(ctx, form, error, contact_id=contact_id)
        return _done(ctx, "changed", form, changed)

    async def delete(self, ctx: RequestContext) -> Response:
        """Delete a contact, if nobody has changed it since the question was made."""
        form, contact_id = await _sent(ctx), _id(ctx)
        if not has_token(ctx, form.token, cookie=COOKIE):
            contact = await self._book.get(contact_id)
            return self._question(ctx, contact, q=form.q, status=_FORBIDDEN)
        try:
            await self._book.delete(contact_id, versions=form.versions)
        except RequestError as error:
            if error.status != _CHANGED:
                raise
            contact = await self._book.get(contact_id)
            return self._question(ctx, contact, q=form.q, status=_CHANGED)
        return _done(ctx, "deleted", form)

    def _wrong(
        self, ctx: RequestContext, form: Form, *, contact_id: str = ""
    ) -> Response | None:
        """Return the form again, when it is not to be done."""
        if not has_token(ctx, form.token, cookie=COOKIE):
            return self._form(ctx, form, contact_id=contact_id, status=_FORBIDDEN)
        errors = problems(self._book, form.values)
        if not errors:
            return None
        return self._form(
            ctx, form, contact_id=contact_id, status=_WRONG, errors=errors
        )

    async def _refused(
        self,
        ctx: RequestContext,
        form: Form,
        error: RequestError,
        *,
        contact_id: str = "",
    ) -> Response:
        """Return the form again, with what stands against it."""
        shown: dict[str, Any] = {"contact_id": contact_id, "headers": error.headers}
        if error.status == _CHANGED:
            try:
                current = form_of(await self._book.get(contact_id))
            except RequestError as other:
                return await self._refused(ctx, form, other, contact_id=contact_id)
            form = replace(form, version=current.version)
            shown["current"] = current.values
        elif error.status == _TAKEN:
            shown["errors"] = {"number": "another contact has this number"}
            shown["other"] = await self._book.with_number(form.values["number"])
        elif error.status == _GONE:
            shown["contact_id"] = ""
        elif error.status == _WRONG:  # the key was used for what was entered before
            form = replace(form, once="")
            shown["told"] = _TWICE
        elif error.status != _AWAY:
            raise error
        return self._form(ctx, form, status=error.status, **shown)

    def _form(
        self,
        ctx: RequestContext,
        form: Form,
        *,
        contact_id: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
        **shown: Any,
    ) -> Response:
        values: dict[str, Any] = {"errors": {}, "current": None, "other": None}
        values |= {"told": _TOLD.get(status, ""), **shown}
        # a new contact that comes back keeps its key: it may have been added after all
        once = form.once or secrets.token_hex(16)
        return self._views.page(
            ctx,
            "form.html",
            status=status,
            headers=headers,
            form=replace(form, once=once),
            contact_id=contact_id,
            region=self._book.settings().region,
            **values,
        )

    def _question(
        self, ctx: RequestContext, contact: Contact, *, q: str, status: int = 200
    ) -> Response:
        return self._views.page(
            ctx, "delete.html", status=status, contact=contact, q=q, conflict=status
        )


def _id(ctx: RequestContext) -> str:
    return ctx.path_params["contact_id"]


async def _sent(ctx: RequestContext) -> Form:
    check_origin(ctx)
    return await read_form(ctx)


def _done(
    ctx: RequestContext, what: str, form: Form, contact: Contact | None = None
) -> Response:
    """Lead on to the list, which tells what was done."""
    told = {"q": form.q, "done": what, "id": contact and contact.id}
    query = urlencode({name: value for name, value in told.items() if value})
    return ctx.redirect(f"{root(ctx)}phonebook?{query}", status=303)
