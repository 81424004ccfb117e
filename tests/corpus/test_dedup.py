"""The table of seen hashes agrees with a set, also as it grows and where hashes collide."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from lmexp.corpus.dedup import SeenHashes


@given(st.lists(st.integers(0, 40), max_size=200), st.sampled_from([1, 1024]))
def test_a_hash_is_new_exactly_once_even_where_many_share_a_slot(values, stride):
    seen, oracle = SeenHashes(), set()
    for value in values:
        digest = (value * stride).to_bytes(8, "little") + bytes(24)
        assert seen.add(digest) == (digest not in oracle)
        oracle.add(digest)
    assert len(seen) == len(oracle)


def test_the_table_grows_and_stays_below_its_bytes_a_document():
    seen = SeenHashes()
    digests = [hashlib.sha256(str(i).encode()).digest() for i in range(20_000)]
    assert all(seen.add(digest) for digest in digests)
    assert not any(seen.add(digest) for digest in digests)
    assert len(seen) == len(digests)
    assert len(seen._table) <= 48 * len(digests)
