"""The forms of the page as they come: their fields, and what is wrong with each."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from service.errors import UnsupportedMediaType
from service.phonebook.book import PhoneBook
from service.phonebook.model import Contact, InvalidContact
from service.server.context import RequestContext
from service.server.reading import media_type

__all__ = ["FIELDS", "MAX_FORM_BYTES", "Form", "form_of", "problems", "read_form"]

FIELDS = ("first_name", "last_name", "number", "email", "note")

MAX_FORM_BYTES = 48 * 1024
"""The longest contact, each character of it as four bytes of `%XX`, and some room."""

_KIND = "application/x-www-form-urlencoded"

_FITS = {"first_name": "A", "last_name": "A", "number": "+12015550123"}
"""What stands in for a wrong value, so that the next one is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """
    A form of a contact.

    Attributes:
        values: What was entered, by the name of the field.
        version: Of the contact that is changed, as digits; empty for a new one.
        once: Key under which a new contact is added once.
        q: What the list shows, to go back to it.
        token: What shows that our page sent it.
    """

    values: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(FIELDS, ""))
    version: str = ""
    once: str = ""
    q: str = ""
    token: str = ""

    @property
    def versions(self) -> frozenset[int]:
        """The version as a condition of a change; none for what is no version."""
        text = self.version
        known = text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004
        return frozenset({int(text)} if known else ())


async def read_form(ctx: RequestContext) -> Form:
    """
    Return the form that the request carries.

    Raises:
        UnsupportedMediaType: It carries something else.
        ContentTooLarge: It is longer than any contact.
    """
    if media_type(ctx.headers) != _KIND:
        raise UnsupportedMediaType(
            "This route reads a form.", headers={"accept": _KIND}
        )
    given = {name: str(value) for name, value in (await ctx.read_form()).items()}
    # browsers end the lines of a text area as mail does
    lines = {name: given.get(name, "").replace("\r\n", "\n") for name in FIELDS}
    others = {name: given.get(name, "") for name in ("version", "once", "q", "token")}
    return Form(values=lines, **others)


def form_of(contact: Contact, *, q: str = "") -> Form:
    """Return the form that shows *contact*."""
    told = asdict(contact.fields)
    values = {name: told[name] or "" for name in FIELDS}
    return Form(values=values, version=str(contact.version), q=q)


def problems(book: PhoneBook, values: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong, by field: all of it, where the API tells the first."""
    found: dict[str, str] = {}
    tried = dict(values)
    while True:
        try:
            book.checked(tried)
        except InvalidContact as error:
            found[error.field] = error.reason
            tried[error.field] = _FITS.get(error.field, "")
        else:
            return found
