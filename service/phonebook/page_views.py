"""The page's answers, written from the templates beside this module."""

import phonenumbers

from service.server.form_pages import FormPages, root

__all__ = ["COOKIE", "Views", "root"]

COOKIE = "phonebook"
"""Name of the cookie of the page's forms."""


class Views(FormPages):
    """Renders the templates of the phone book."""

    def __init__(self) -> None:
        filters = {"spaced": _spaced, "sentence": _sentence}
        super().__init__("service.phonebook", cookie=COOKIE, filters=filters)


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
