from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms.api.errors import KMSError
from kms.keys.context import EMPTY_CONTEXT, MAX_CONTEXT_BYTES, canonical_context
from tests.kms.keys import second_blob

CONTEXTS = st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=6)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, "00000000"),
        ({"a": "bc"}, "000000010000000161000000026263"),
        ({"ab": "c"}, "000000010000000261620000000163"),
        ({"b": "", "a": "é"}, "00000002000000016100000002c3a9000000016200000000"),
        ({"\U0001f511": "", "\uffee": ""}, "0000000200000003efbfae0000000000000004f09f949100000000"),
    ],
)
def test_canonical_bytes(context: dict[str, str], expected: str) -> None:
    assert canonical_context(context).hex() == expected


def test_empty_is_the_same_as_absent() -> None:
    assert canonical_context({}) == EMPTY_CONTEXT


@settings(max_examples=60, deadline=None)
@given(CONTEXTS, CONTEXTS)
def test_equal_for_equal_maps_only(one: dict[str, str], other: dict[str, str]) -> None:
    assert (canonical_context(one) == canonical_context(other)) == (one == other)
    assert canonical_context(one) == canonical_context(dict(reversed(one.items())))
    assert canonical_context(one) == second_blob.context_bytes(one)


def test_size_is_bounded_in_bytes() -> None:
    canonical_context({"é": "x" * (MAX_CONTEXT_BYTES - 2)})
    with pytest.raises(KMSError) as caught:
        canonical_context({"é": "x" * (MAX_CONTEXT_BYTES - 1)})
    assert caught.value.code == "ValidationException"


def test_text_that_is_no_unicode_is_refused_without_showing_it() -> None:
    with pytest.raises(KMSError) as caught:
        canonical_context({"a": "\ud800 shy"})
    assert caught.value.code == "ValidationException"
    assert "shy" not in str(caught.value)
    assert caught.value.__cause__ is None
