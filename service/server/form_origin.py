"""
Whether a form comes from a page of ours: no other site may send one in a user's name.

Two things must hold. The browser says that the sending page has our origin, by
`Sec-Fetch-Site`, or by `Origin` where it sends none (plain HTTP); what says neither is
refused. And the form carries the value of a cookie that no other site sees or makes the
browser send. Nothing is kept here, so any replica may answer.

Source: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import hmac
import re
import secrets
from urllib.parse import urlsplit

from service.errors import Forbidden
from service.server.context import RequestContext

__all__ = ["check_origin", "form_token", "has_token", "origin_host"]

_TOKEN_BYTES = 24
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


def check_origin(ctx: RequestContext) -> None:
    """
    Refuse what no page of ours has sent.

    The scheme of `Origin` is not compared: behind a proxy that is not trusted we don't
    know our own.

    Raises:
        Forbidden: Another site sent it, or nobody knows who.
    """
    site = ctx.headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        is_ours = origin_host(ctx.headers.get("origin", "")) == ctx.headers.get("host")
    if not is_ours:
        ctx.log_fields = {**ctx.log_fields, "refused": "origin"}
        raise Forbidden("This form was not sent by a page of this service.")


def form_token(ctx: RequestContext, *, cookie: str) -> str:
    """
    Return what a form must carry; the cookie with it is set where there is none.

    Args:
        ctx: The request.
        cookie: Name of the cookie: each feature has one of its own.
    """
    name = _named(ctx, cookie)
    known = ctx.cookies.get(name, "")
    if _TOKEN.fullmatch(known):
        return known
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    ctx.set_cookie(name, token, same_site="Strict")
    return token


def has_token(ctx: RequestContext, token: str, *, cookie: str) -> bool:
    """Whether *token* is that of the cookie."""
    known = ctx.cookies.get(_named(ctx, cookie), "")
    if _TOKEN.fullmatch(known) and hmac.compare_digest(known.encode(), token.encode()):
        return True
    ctx.log_fields = {**ctx.log_fields, "refused": "token"}
    return False


def _named(ctx: RequestContext, cookie: str) -> str:
    # with the prefix no other host of the same domain can set it
    return f"__Host-{cookie}" if ctx.scheme == "https" else cookie


def origin_host(origin: str) -> str | None:
    """Return the host and port of an `Origin`; None when it has none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
