"""
`Content-Disposition`: under which name a file is saved, whatever the name is.

Source: RFC 6266 §4, Appendix D; RFC 8187 §3.2
"""

from urllib.parse import quote

__all__ = ["content_disposition"]

_ATTRIBUTE = "!#$&+-.^_`|~"
"""What RFC 8187 leaves as it is, besides letters and digits."""


def content_disposition(name: str, *, shown: bool = False) -> str:
    """
    Return the header for a file of this name, in printable ASCII.

    Args:
        name: Any text; nothing of it can end the parameter or the header.
        shown: Whether a browser may show the file rather than save it.
    """
    kind = "inline" if shown else "attachment"
    # readers disagree on escapes and percent signs in the plain form (RFC 6266 D)
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_"
        for char in name
    )
    if plain == name:
        return f'{kind}; filename="{plain}"'
    encoded = quote(name, safe=_ATTRIBUTE, errors="replace")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
