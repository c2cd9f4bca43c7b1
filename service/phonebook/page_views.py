"""
The page's answers, written from templates.

Jinja escapes whatever is put into them, and a name that a template does not get is an
error. Nothing is inline, so the service's policy for pages holds; links are relative,
so a proxy may serve the page below a path of its own.
"""

from collections.abc import Mapping
from typing import Any

import phonenumbers
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.errors import RequestError
from service.phonebook.page_origin import form_token
from service.server.context import RequestContext
from service.server.responses import Response, status_phrase

__all__ = ["Views", "root"]

_HEADERS = {
    # with the service's `no-referrer` browsers would send `Origin: null` with forms
    "referrer-policy": "same-origin",
    "vary": "Cookie",
}

_AWAY = 503


class Views:
    """Renders the templates beside this module."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("service.phonebook", "page_templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"spaced": _spaced, "sentence": _sentence}

    def page(
        self,
        ctx: RequestContext,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """Return the page of *template* with *values* in it."""
        html = self._templates.get_template(template).render(
            root=root(ctx), token=form_token(ctx), **values
        )
        return ctx.write_html(
            html, status=status, headers={**_HEADERS, **(headers or {})}
        )

    def problem(self, ctx: RequestContext, error: RequestError) -> Response:
        """Return *error* as a page; one that passes is asked for again by itself."""
        headers = dict(error.headers)
        again = error.status == _AWAY and ctx.method in ("GET", "HEAD")
        if again:
            headers["refresh"] = headers.get("retry-after", "5")
        return self.page(
            ctx,
            "problem.html",
            status=error.status,
            headers=headers,
            title=status_phrase(error.status),
            detail=error.detail or "",
            again=again,
        )


def root(ctx: RequestContext) -> str:
    """Return the way from the page to the service's root."""
    return "../" * (ctx.path.count("/") - 1)


def _spaced(number: str) -> str:
    """Return an E.164 number as people read it."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return str(phonenumbers.format_number(parsed, form))


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."
