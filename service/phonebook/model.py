"""
What a contact is, and what may be in it.

Names may be of any script, and one of the two may be missing: many people have a single
name. Text is kept in Unicode's form NFC, so equal names are equal bytes; characters
that control terminals or turn the direction of the text around them are refused.
Numbers are kept as E.164, `+` and digits. Their length must be possible for their
country; whether they are assigned is not asked, because plans change sooner than any
library.
"""

import re
import secrets
import time
import unicodedata
from dataclasses import dataclass
from uuid import UUID

import phonenumbers

__all__ = [
    "Contact",
    "ContactFields",
    "InvalidContact",
    "contact_fields",
    "e164",
    "new_id",
    "number_prefix",
]

MAX_NAME = 100
MAX_NOTE = 2000
MAX_EMAIL = 254
MAX_NUMBER_TEXT = 40
MAX_NUMBER = 16

_EMAIL = re.compile(r"[^\s@<>()\[\],:;\"\\]{1,64}@[^\s@<>()\[\],:;\"\\.]+(\.[^\s@<>()\[\],:;\"\\.]+)+")  # fmt: skip  # noqa: E501 - one expression
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})


class InvalidContact(ValueError):
    """
    A value that no contact can have.

    Args:
        field: Which.
        reason: Why, without the value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFields:
    """
    What a client says of a contact, checked and normalised by `contact_fields`.

    Attributes:
        first_name: May be empty when the last name is not.
        last_name: The other way round.
        number: E.164; no two contacts have the same.
        email: Address, or None.
        note: Any text, or None.
    """

    first_name: str
    last_name: str
    number: str
    email: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """
    A contact.

    Attributes:
        id: UUID of version 7; later contacts have greater ones, as far as clocks agree.
        version: 1, and one more with each change.
        created_at: Microseconds since 1970, UTC.
        updated_at: The same, of the last change.
        fields: What a client said.
    """

    id: str
    version: int
    created_at: int
    updated_at: int
    fields: ContactFields


def contact_fields(
    *,
    first_name: str = "",
    last_name: str = "",
    number: str,
    email: str | None = None,
    note: str | None = None,
    region: str = "",
) -> ContactFields:
    """
    Return the fields, checked and normalised.

    Args:
        first_name: Up to 100 characters; spaces are made single ones.
        last_name: The same.
        number: In any usual form.
        email: Address, or None or empty.
        note: Up to 2000 characters; lines may end.
        region: Country of a number without `+`, ISO 3166.

    Raises:
        InvalidContact: One of them can't be.
    """
    first, last = _name("first_name", first_name), _name("last_name", last_name)
    if not (first or last):
        raise InvalidContact("last_name", "one of the names is needed")
    return ContactFields(
        first_name=first,
        last_name=last,
        number=e164(number, region=region),
        email=_email(email) if email and not email.isspace() else None,
        note=_text("note", note, most=MAX_NOTE, also="\n\t") if note else None,
    )


def e164(text: str, *, region: str = "") -> str:
    """
    Return the number that *text* means.

    Raises:
        InvalidContact: It means none.
    """
    if len(text) > MAX_NUMBER_TEXT:
        raise InvalidContact("number", "it is too long")
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as error:
        unknown = phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        reason = "no country has it; begin with + and the country's code"
        if error.error_type != unknown:
            reason = "it is no telephone number"
        raise InvalidContact("number", reason) from None
    if number.extension:
        raise InvalidContact("number", "an extension belongs into the note")
    if not phonenumbers.is_possible_number(number):
        raise InvalidContact("number", "its country has no number of this length")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return str(written)


def number_prefix(text: str) -> str:
    """
    Return the beginning of E.164 numbers that *text* means: `+49 30` is `+4930`.

    Raises:
        InvalidContact: It is no beginning of a number.
    """
    digits = re.sub(r"[\s()./-]", "", text).removeprefix("+")
    if not re.fullmatch(r"[0-9]{1,15}", digits, re.ASCII):
        raise InvalidContact("number", "it is no beginning of a telephone number")
    return "+" + digits


def new_id() -> str:
    """
    Return a new UUID of version 7, with a quarter of a microsecond in its order.

    Source: https://www.rfc-editor.org/rfc/rfc9562#section-6.2 (method 3)
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    value = milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1_000_000) << 64
    return str(UUID(int=value | 0b10 << 62 | secrets.randbits(62)))


def _name(field: str, value: str) -> str:
    return _text(field, re.sub(" +", " ", value).strip(" "), most=MAX_NAME)


def _email(value: str) -> str:
    text = _text("email", value.strip(), most=MAX_EMAIL)
    if not _EMAIL.fullmatch(text):
        raise InvalidContact("email", "it is no mail address")
    return text


def _text(field: str, value: str, *, most: int, also: str = "") -> str:
    """Return *value* in NFC, refused when it is too long or holds what it must not."""
    if len(value) > most:  # before it is worked on
        raise InvalidContact(field, f"it is longer than {most} characters")
    text = unicodedata.normalize("NFC", value)
    if len(text) > most:
        raise InvalidContact(field, f"it is longer than {most} characters")
    for each in text:
        bad = unicodedata.category(each) in _REFUSED or each in _DIRECTIONS
        if bad and each not in also:
            raise InvalidContact(field, "it has characters that control the display")
    return text
