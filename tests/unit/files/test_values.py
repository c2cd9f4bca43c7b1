"""Digest fields, conditions, media types: read as the RFCs have them."""

import base64
import hashlib

import pytest

from service.files.conditions import Condition, tags
from service.files.digests import Hashing, digest_field, parse_digests
from service.files.errors import DigestMismatch, InvalidPath, PreconditionFailed
from service.files.media_types import is_shown, media_type_of
from service.files.paths import directory_path, file_path
from service.files.versions import read_version, stamp

SHA256 = hashlib.sha256(b"x").digest()
TEXT = base64.b64encode(SHA256).decode()


def test_digest_field_is_read_as_it_is_written():
    """Several algorithms, parameters, and some that nobody knows."""
    both = {"sha-256": SHA256, "sha-512": hashlib.sha512(b"x").digest()}

    assert parse_digests(digest_field(both)) == both
    assert parse_digests(f"md5=:AAAA:, sha-256=:{TEXT}:;p=1") == {"sha-256": SHA256}
    assert parse_digests("unixsum=:AA==:") == {}


@pytest.mark.parametrize(
    "field",
    [
        "sha-256",
        f"sha-256={TEXT}",
        "sha-256=:AAAA:",
        "sha-256=:***:",
        f"=:{TEXT}:",
        ",",
    ],
)
def test_digest_field_that_says_nothing_is_an_error(field):
    """It must not pass for a digest that was verified."""
    with pytest.raises(ValueError, match=r"digest|dictionary"):
        parse_digests(field)


def test_digests_are_of_all_that_went_by():
    """Expected ones are compared, the usual one is always told."""
    hashing = Hashing({"sha-512": hashlib.sha512(b"ab").digest()})
    hashing.update(b"a")
    with pytest.raises(DigestMismatch):
        hashing.verified()
    hashing.update(b"b")
    assert hashing.verified()["sha-256"] == hashlib.sha256(b"ab").digest()
    assert Hashing(always=()).verified() == {}


@pytest.mark.parametrize(
    ("condition", "etag", "modified", "holds"),
    [
        (Condition(), None, 0, True),
        (Condition(match=("*",)), '"a"', 0, True),
        (Condition(match=("*",)), None, 0, False),
        (Condition(match=('"b"', '"a"')), '"a"', 0, True),
        (Condition(match=('W/"a"',)), '"a"', 0, False),
        (Condition(none_match=('W/"a"',)), '"a"', 0, False),
        (Condition(none_match=('"b"',)), '"a"', 0, True),
        (Condition(none_match=("*",)), None, 0, True),
        (Condition(unmodified_since=10), '"a"', 10.9, True),
        (Condition(unmodified_since=10), '"a"', 11, False),
        (Condition(unmodified_since=10), None, 0, False),
        (Condition(match=('"a"',), unmodified_since=10), '"a"', 99, True),
    ],
)
def test_condition_holds_for_the_version_that_was_meant(
    condition, etag, modified, holds
):
    """Strong comparison to change, weak to create, dates where no tag is said."""
    if holds:
        condition.check(etag, modified)
        return
    with pytest.raises(PreconditionFailed):
        condition.check(etag, modified)


def test_tags_are_taken_apart():
    """Empty members are none."""
    assert tags(' "a" ,, W/"b",*') == ('"a"', 'W/"b"', "*")


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("a.PNG", "image/png", True),
        ("a.tar.gz", "application/gzip", False),
        ("a.html", "text/html; charset=utf-8", False),
        ("a.svg", "image/svg+xml", False),
        ("png", "image/png", True),
        ("README", "application/octet-stream", False),
        ("a.unknown", "application/octet-stream", False),
    ],
)
def test_media_type_is_that_of_the_name(name, kind, shown):
    """In any case of letters; what is not known is bytes."""
    assert (media_type_of(name), is_shown(name)) == (kind, shown)


@pytest.mark.parametrize("text", ["", "/", "a/", "a//b", "/a", "a/../b", "x" * 256])
def test_text_that_is_no_path_of_a_file_is_refused(text):
    """Each says why."""
    with pytest.raises(InvalidPath, match=r"\w+\.$"):
        file_path(text)


def test_directory_may_end_in_a_slash():
    """The root is empty."""
    assert directory_path("") == directory_path("/") == ""
    assert directory_path("a/b/") == directory_path("a/b") == "a/b"


def test_attribute_that_is_broken_is_not_believed(tmp_path):
    """A tag is made of the inode then."""
    path = tmp_path / "f"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        stamp(file.fileno(), {"sha-256": SHA256})
        known = read_version(file.fileno())
    with path.open("ab") as file:
        file.write(b"y")
    with path.open("rb") as file:
        assert read_version(file.fileno()).digests == {}
        assert read_version(file.fileno()).etag != known.etag
