"""Stored feature vectors, and what of a scoring run is kept for reasons."""

import zlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadengine.errors import LeadEngineError
from ml.score_table import Scored
from ml.vectors import pack, unpack

VALUES = st.one_of(
    st.floats(allow_infinity=True, allow_nan=True, width=64),
    st.integers(-3, 4_000).map(float),
    st.sampled_from([0.0, -0.0, np.nan, 0.1, 65_504.0, 65_505.0, 1e300]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda width: st.lists(
            st.lists(VALUES, min_size=width, max_size=width), min_size=1, max_size=9
        )
    )
)
def test_vectors_come_back_to_the_bit(rows: list[list[float]]) -> None:
    matrix = np.array(rows, dtype=np.float64)
    again = unpack(pack(matrix))
    canonical = np.where(np.isnan(matrix), np.nan, matrix)
    assert again.tobytes() == canonical.tobytes()


def test_blocks_of_earlier_versions_are_read() -> None:
    # Two rows of one feature each of two, four and eight bytes, as version 1 deflated them.
    parts = (
        np.array([1, 2], "<f2").tobytes(),
        np.array([0.1, 3], "<f4").tobytes(),
        np.array([0.1, np.nan], "<f8").tobytes(),
    )
    stored = zlib.compress(bytes([1, 2, 0, 0, 0, 3, 0, 0, 1, 2]) + b"".join(parts), 1)
    expected = [[1.0, float(np.float32(0.1)), 0.1], [2.0, 3.0, np.nan]]
    np.testing.assert_array_equal(unpack(stored), expected)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda data: data[:0], "5 bytes"),
        (lambda data: data[:-3], "zstd|ZSTD"),
        (lambda data: b"\x07" + data[1:], "method 7"),
        (lambda data: data[:1] + b"\xff\xff\xff\xff" + data[5:], "at most"),
        (lambda data: data[:1] + b"\x09\x00\x00\x00" + data[5:], "zstd|ZSTD"),
        (lambda data: b"\x78\x01" + data[2:], "decompress"),
    ],
)
def test_a_block_that_was_changed_is_refused(spoilt: Callable[[bytes], bytes], said: str) -> None:
    data = pack(np.arange(12.0).reshape(3, 4))
    with pytest.raises(LeadEngineError, match=said):
        unpack(spoilt(data))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=12),
    st.integers(1, 20),
)
def test_the_best_of_all_chunks_are_kept(chunks: list[list[int]], best: int) -> None:
    scored = Scored(best)
    for chunk in chunks:
        scores = np.array(chunk) / 10
        here = range(scored.rows, scored.rows + len(chunk))
        scored.add(
            leads=pd.Series([f"{place % 7}:{place:03}" for place in here]),
            moments=pd.Series(["2024-05-01T00:00:00Z"] * len(chunk)),
            scores=scores,
            tiers=np.array(["cold"] * len(chunk)),
            digests=[str(place) for place in here],
            matrix=np.column_stack([here, scores]),
            texts=pd.DataFrame({"source": [f"s{place}" for place in here]}),
        )
    scored.finish("the chunks")
    places, matrix, texts = scored.best(scored.ranks())
    flat = [score / 10 for chunk in chunks for score in chunk]
    order = sorted(range(len(flat)), key=lambda i: (-flat[i], f"{i % 7}:{i:03}"))
    assert sorted(places.tolist()) == sorted(order[:best])
    assert matrix.tolist() == [[float(i), flat[i]] for i in places]
    assert texts["source"].tolist() == [f"s{i}" for i in places]
