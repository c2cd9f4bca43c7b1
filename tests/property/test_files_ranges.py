"""Ranges of files: whatever is asked for, what comes are those bytes."""

from hypothesis import given
from hypothesis import strategies as st

from service.files.ranges import MAX_RANGES, Unsatisfiable, wanted_parts

SIZES = st.integers(0, 3000)
NUMBERS = st.integers(0, 4000)
SPECS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    NUMBERS.map(lambda n: f"{n}-"),
    NUMBERS.map(lambda n: f"-{n}"),
)


def asked_bytes(spec: str, size: int) -> set[int]:
    """The positions that one range asks for, by the words of RFC 9110 §14.1.2."""
    first, _, last = spec.partition("-")
    if not first:
        return set(range(max(0, size - int(last)), size))
    stop = int(last) + 1 if last else size
    return set(range(int(first), min(stop, size)))


@given(st.lists(SPECS, min_size=1, max_size=MAX_RANGES), SIZES)
def test_valid_ranges_give_their_bytes_and_few_more(specs, size):
    """All that was asked for and is there; in order, apart, no small gaps left out."""
    wanted = set().union(*(asked_bytes(each, size) for each in specs))
    try:
        parts = wanted_parts("bytes=" + ",".join(specs), size)
    except Unsatisfiable:
        assert not wanted
        return
    given_bytes = [n for start, stop in parts for n in range(start, stop)]

    assert wanted
    assert wanted <= set(given_bytes)
    assert given_bytes == sorted(set(given_bytes))
    assert all(0 <= start < stop <= size for start, stop in parts)
    assert len(set(given_bytes) - wanted) <= 80 * len(specs)
    ends = [stop for _, stop in parts]
    assert all(b.start > end for b, end in zip(parts[1:], ends, strict=False))


@given(st.lists(SPECS, min_size=MAX_RANGES + 1, max_size=MAX_RANGES + 5), SIZES)
def test_too_many_ranges_are_refused(specs, size):
    """However small the file is."""
    try:
        parts = wanted_parts("bytes=" + ",".join(specs), size)
    except Unsatisfiable:
        return
    raise AssertionError(parts)


@given(st.text(alphabet="bytes=0123456789-, x\t", max_size=60), SIZES)
def test_any_text_is_read_or_left_aside(text, size):
    """No header makes an error of ours, and no part leaves the file."""
    try:
        parts = wanted_parts(text, size)
    except Unsatisfiable:
        return
    assert all(0 <= start < stop <= size for start, stop in parts or [])


@given(st.integers(1, 10_000))
def test_number_of_any_length_is_a_number(digits):
    """Python refuses to read numbers of 4,300 digits; a header may have them."""
    assert wanted_parts(f"bytes=0-{'9' * digits}", 5) == [(0, 5)]
    assert wanted_parts(f"bytes={'0' * digits}1-", 5) == [(1, 5)]
