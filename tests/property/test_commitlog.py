"""The segment log against a list, damage at every byte and bit, and power cuts."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.commitlog import Compression, Policy, Record
from service.commitlog.errors import LogDamaged, OffsetOutOfRange
from service.commitlog.log import Log
from service.commitlog.record import decode, encode, size_of
from tests.support.crash_files import CrashFiles, PowerCut

HERE = Path("log")
ALL = {"max_records": 10**6, "max_bytes": 10**9}
RECORDS = st.builds(
    Record,
    st.binary(max_size=300),
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=9)), max_size=3).map(
        tuple
    ),
)


@given(
    RECORDS,
    st.integers(0, 2**63),
    st.integers(-(2**40), 2**40),
    st.sampled_from(Compression),
)
def test_frame_round_trip(record, offset, timestamp, compression):
    """A frame decodes to its record, and is no longer than it was counted."""
    record = record._replace(offset=offset, timestamp=timestamp)
    frame = encode(record, offset=offset, timestamp=timestamp, compression=compression)

    assert decode(frame) == (record, len(frame))
    assert len(frame) % 8 == 0
    assert len(frame) <= size_of(record)


class AgainstAList(RuleBasedStateMachine):
    """Append, roll, drop, reopen, tear: always what a list holds."""

    def __init__(self):
        super().__init__()
        self.now, self.files, self.model = 1000.0, CrashFiles(), []
        self.policy = Policy(
            segment_bytes=700,
            segment_seconds=50.0,
            retention_bytes=3000,
            retention_seconds=200.0,
            index_interval_bytes=100,
        )
        self._open()

    def _open(self):
        self.log = Log(HERE, self.policy, files=self.files, clock=lambda: self.now)

    @rule(batches=st.lists(st.lists(RECORDS, min_size=1, max_size=4), max_size=5))
    def append(self, batches):
        done = self.log.commit(batches)
        assert done.error is None
        for first, batch in zip(done.offsets, batches, strict=True):
            assert first == len(self.model)
            self.model += batch

    @rule(seconds=st.floats(0.1, 120))
    def pass_time(self, seconds):
        self.now += seconds
        self.log.maintain()

    @rule()
    def reopen(self):
        self.log.close()
        self._open()

    @rule(cut=st.data())
    def lose_an_index(self, cut):
        self.log.close()
        names = [n for n in self.files.current if n.endswith(".index")]
        if names:
            data = self.files.current[cut.draw(st.sampled_from(names))].data
            del data[cut.draw(st.integers(0, len(data))) :]
        self._open()

    @rule(junk=st.binary(min_size=1, max_size=60))
    def tear_the_tail(self, junk):
        self.log.close()
        last = max(n for n in self.files.current if n.endswith(".log"))
        self.files.current[last].data += junk
        self._open()
        assert self.log.recovery.torn_bytes == len(junk)

    @precondition(lambda self: self.log.next_offset > self.log.lowest_offset)
    @rule(data=st.data(), limit=st.integers(1, 9))
    def read(self, data, limit):
        low, end = self.log.lowest_offset, self.log.next_offset
        offset = data.draw(st.integers(low, end))
        found = self.log.read(offset, max_records=limit, max_bytes=10**9, until=end)
        expected = self.model[offset : offset + limit]
        assert [r[:3] for r in found] == [r[:3] for r in expected]

    @precondition(lambda self: self.log.lowest_offset > 0)
    @rule()
    def read_what_is_gone(self):
        with pytest.raises(OffsetOutOfRange):
            self.log.read(self.log.lowest_offset - 1, until=self.log.next_offset, **ALL)

    @rule(data=st.data())
    def hold_against_retention(self, data):
        low = self.log.lowest_offset
        with self.log.hold(low):
            self.now += 1000.0
            self.log.maintain()
            assert self.log.lowest_offset == low

    @invariant()
    def ends_as_the_list(self):
        assert self.log.next_offset == len(self.model)
        assert self.log.segment_count >= 1


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)


def _small_log(segment_bytes=300):
    files = CrashFiles()
    log = Log(HERE, Policy(segment_bytes=segment_bytes), files=files)
    values = [b"%02d" % number * 5 for number in range(8)]
    for value in values:
        log.commit([[Record(value, b"k", (("h", b"1"),))]])
    log.close()
    return files, values


def _contents(files):
    log = Log(HERE, Policy(segment_bytes=400), files=files)
    try:
        found = log.read(log.lowest_offset, until=log.next_offset, **ALL)
        after = log.commit([[Record(b"after")]])
        assert after.error is None
        return [record.value for record in found]
    finally:
        log.close()


def _damaged(change):
    """Yield what is read after each change, or None when it is refused."""
    names = sorted(n for n in _small_log()[0].current if n != "lock")
    for name in names:
        for place in range(len(_small_log()[0].current[name].data) * change[1]):
            files, values = _small_log()
            change[0](files.current[name].data, place)
            before = bytes(files.current[name].data)
            try:
                yield name, place, _contents(files), values
            except LogDamaged:
                assert files.current[name].data == before, "a refusal changes nothing"
                yield name, place, None, values


def _truncate(data, place):
    del data[place:]


def _flip(data, place):
    data[place // 8] ^= 1 << place % 8


@pytest.mark.parametrize("change", [(_truncate, 1), (_flip, 8)], ids=["cut", "flip"])
def test_damage_at_any_byte_or_bit_is_never_read_as_a_record(change):
    """Of a synced log: refused, or every record as it was."""
    refused = 0
    for name, place, found, values in _damaged(change):
        refused += found is None
        assert found in (None, values), (name, place)
        assert found is None or not name.endswith(".log"), (name, place)
    assert refused


def test_tail_above_the_mark_is_cut_at_any_byte():
    """Without a mark: the longest whole prefix stays, and appends go on."""
    files, values = _small_log(10**6)
    size = len(files.current[f"{0:020}.log"].data)
    frame = (size - 16) // len(values)
    for place in range(16, size):
        for zeros in (0, size - place):
            files, _ = _small_log(10**6)
            del files.current["synced"]
            data = files.current[f"{0:020}.log"].data
            del data[place:]
            data += bytes(zeros)
            found = _contents(files)

            assert found == values[: len(found)]
            # zeros after a cut within the padding make a whole frame again
            assert len(found) - (place - 16) // frame in {0, int(bool(zeros))}


def _power_cuts(seed, generations=12, *, operations=60, **retention):
    """Write, cut the power at some operation, look; again and again."""
    rng, files, known = random.Random(seed), CrashFiles(), []
    sizes = {"segment_bytes": rng.choice([300, 5000]), **retention}
    policy = Policy(index_interval_bytes=64, **sizes)
    for _ in range(generations):
        files.budget, files.short = rng.randrange(operations), rng.choice([0, 0, 5])
        tried = []
        try:
            log = Log(HERE, policy, files=files)
            low = log.lowest_offset
            found = log.read(low, until=log.next_offset, **ALL)
            values = [record.value for record in found]
            assert values[: len(known) - low] == known[low:], seed
            assert low <= (max(0, len(known) - LEFT) if retention else 0), seed
            known[low:] = values
            while True:
                tried = [
                    [Record(rng.randbytes(rng.randrange(60))) for _ in range(3)]
                    for _ in range(rng.randrange(1, 4))
                ]
                assert log.commit(tried).error is None
                known += [record.value for batch in tried for record in batch]
        except PowerCut:
            files = files.crash(rng)
    return len(known)


def test_power_cut_keeps_every_acknowledged_record():
    """Un-synced writes and names are lost, torn and reordered, in 300 histories."""
    assert sum(_power_cuts(seed) for seed in range(300)) > 5000


RETENTION = {"operations": 200, "segment_bytes": 300, "retention_bytes": 2000}
LEFT = 6
"""Last acknowledged records that such a retention always leaves."""


def test_power_cut_keeps_every_record_that_retention_leaves():
    """The same while the oldest segments go, in 50 histories."""
    assert sum(_power_cuts(seed, **RETENTION) for seed in range(50)) > 5000


@pytest.mark.soak
@pytest.mark.parametrize("options", [{}, RETENTION], ids=["all", "retention"])
def test_power_cut_keeps_every_acknowledged_record_in_long_histories(options):
    """20,000 of them."""
    seeds = range(1000, 21_000)
    assert sum(_power_cuts(seed, **options) for seed in seeds) > 300_000
