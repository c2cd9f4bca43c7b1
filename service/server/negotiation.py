"""What a client would rather have: a page or JSON (RFC 9110 §12.5.1)."""

__all__ = ["prefers_html"]


def prefers_html(accept: str) -> bool:
    """
    Whether the client prefers a page to JSON.

    Browsers name `text/html` first; `*/*`, nothing or a tie is a program's request.

    Args:
        accept: Value of the `Accept` header.
    """
    weights = _weights(accept)
    html = _weight(weights, "text/html", "text/*")
    return html > _weight(weights, "application/json", "application/*")


def _weights(accept: str) -> dict[str, float]:
    """Return the weight of each media range, by its name in lower case."""
    weights = {}
    for part in accept.split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        weights[name] = _quality(parameters)
    return weights


def _quality(parameters: list[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return min(max(float(each[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _weight(weights: dict[str, float], exact: str, family: str) -> float:
    """Return the weight of a type: that of the closest range that covers it."""
    for name in (exact, family, "*/*"):
        if name in weights:
            return weights[name]
    return 0.0
