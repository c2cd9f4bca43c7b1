"""
Pages with forms, written from templates.

Jinja escapes whatever is put into them, and a name that a template does not get is an
error. Nothing is inline, so the service's policy for pages holds; links are relative,
so a proxy may serve the page below a path of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
)

from service.errors import RequestError
from service.server.context import RequestContext
from service.server.form_origin import form_token
from service.server.responses import Response, status_phrase

__all__ = ["FormPages", "root"]

_HEADERS = {
    # with the service's `no-referrer` browsers would send `Origin: null` with forms
    "referrer-policy": "same-origin",
    "vary": "Cookie",
}

_AWAY = 503


class FormPages:
    """
    Renders the templates in the folder `page_templates` of a package; those that all
    pages share are there as `shared/…`.

    Args:
        package: Name of the package.
        cookie: Name of the cookie that holds the token of its forms.
        filters: Filters for the templates, by name.
    """

    def __init__(
        self, package: str, *, cookie: str, filters: Mapping[str, Callable[..., str]]
    ) -> None:
        self._cookie = cookie
        shared = PackageLoader("service.server", "page_templates")
        own = PackageLoader(package, "page_templates")
        self._templates = Environment(
            loader=ChoiceLoader([own, PrefixLoader({"shared": shared})]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= filters

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
            root=root(ctx), token=form_token(ctx, cookie=self._cookie), **values
        )
        return ctx.write_html(
            html, status=status, headers={**_HEADERS, **(headers or {})}
        )

    def problem(
        self, ctx: RequestContext, error: RequestError, **values: Any
    ) -> Response:
        """
        Return *error* as the page of the template `problem.html`; one that passes is
        asked for again by itself.
        """
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
            **values,
        )


def root(ctx: RequestContext) -> str:
    """Return the way from the page to the service's root."""
    return "../" * (ctx.path.count("/") - 1)
