"""A bounded, sorted collection with versions, against a plain dict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalogue.shelf import Shelf
from service.errors import NotFound, RequestError

KEYS = st.text("abc/", min_size=1, max_size=3)


def shelf(most: int = 100) -> Shelf[int]:
    return Shelf(lambda: most, epoch="e")


@given(st.lists(st.tuples(KEYS, st.booleans())), st.integers(1, 3))
def test_pages_tell_what_a_dict_has(steps, limit):
    """Page by page, all values come once and in order of their keys."""
    kept, model = shelf(), {}
    for n, (key, stays) in enumerate(steps):
        if stays:
            kept.put(key, n)
            model[key] = n
        elif key in model:
            kept.remove(key)
            del model[key]
    found, after = [], ""
    while after is not None:
        values, after = kept.page(after=after, limit=limit)
        found += values

    assert found == [model[key] for key in sorted(model)]
    assert len(kept) == len(model)


def test_prefix_keeps_others_out():
    """A page of one kind ends where the kind ends."""
    kept = shelf()
    for n, key in enumerate(("a/1", "a/2", "ab/1", "b/1")):
        kept.put(key, n)

    assert kept.page(after="", limit=9, prefix="a/") == ([0, 1], None)
    assert kept.page(after="a/1", limit=1, prefix="a/") == ([1], None)
    assert kept.page(after="", limit=1, prefix="a/") == ([0], "a/1")


def test_full_shelf_takes_changes_alone():
    """What is there may change; what is new has no room."""
    kept = shelf(most=1)
    first = kept.put("a", 1)

    assert kept.put("a", 2).etag != first.etag
    with pytest.raises(RequestError) as refused:
        kept.put("b", 1)
    assert refused.value.status == 409


def test_tag_never_comes_again():
    """What was taken away and put back is another version."""
    kept = shelf()
    tags = set()
    for _ in range(3):
        tags.add(kept.put("a", 1).etag)
        kept.remove("a")

    assert len(tags) == 3
    with pytest.raises(NotFound):
        kept.get("a")
