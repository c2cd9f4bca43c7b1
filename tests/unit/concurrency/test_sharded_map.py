"""A map in shards is a map, whoever uses it at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import integers

from service.concurrency.sharded_map import ShardedMap

KEYS = integers(0, 8)


class AgainstADictionary(RuleBasedStateMachine):
    """Whatever is done to both leaves both the same."""

    def __init__(self):
        super().__init__()
        self.sharded = ShardedMap(3)
        self.model = {}

    @rule(key=KEYS, value=integers())
    def set(self, key, value):
        self.sharded.set(key, value)
        self.model[key] = value

    @rule(key=KEYS)
    def pop(self, key):
        assert self.sharded.pop(key, "none") == self.model.pop(key, "none")

    @rule(key=KEYS)
    def update(self, key):
        value = self.sharded.update(key, lambda old: (old or 0) + 1)
        self.model[key] = (self.model.get(key) or 0) + 1
        assert value == self.model[key]

    @rule(key=KEYS)
    def get(self, key):
        assert self.sharded.get(key) == self.model.get(key)
        assert (key in self.sharded) == (key in self.model)

    @invariant()
    def same_keys(self):
        assert sorted(self.sharded) == sorted(self.model)
        assert len(self.sharded) == len(self.model)


TestAgainstADictionary = AgainstADictionary.TestCase


def test_updates_of_many_threads_are_all_there():
    """No change is lost, in one shard or in many."""
    counts = ShardedMap(4)

    def hammer(seed):
        for n in range(1000):
            counts.update((seed + n) % 7, lambda old: (old or 0) + 1)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(hammer, range(16)))

    assert sum(counts.get(key) for key in counts) == 16_000


def test_map_without_a_shard_is_refused():
    """There would be nowhere to put a key."""
    with pytest.raises(ValueError, match="one shard"):
        ShardedMap(0)
