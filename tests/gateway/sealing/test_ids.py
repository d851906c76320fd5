from __future__ import annotations

import pytest

from gateway.sealing.ids import id_time_ms, new_id


def test_ids_carry_their_time_and_sort_by_it() -> None:
    ids = [new_id(now_ms) for now_ms in (0, 1, 255, 256, 1_700_000_000_000, (1 << 48) - 1)]
    assert [len(identifier) for identifier in ids] == [16] * 6
    assert ids == sorted(ids)
    assert id_time_ms(ids[4]) == 1_700_000_000_000


def test_ids_of_one_millisecond_differ() -> None:
    assert len({new_id(5) for _ in range(1000)}) == 1000


def test_the_clock_is_read_when_no_time_is_given() -> None:
    assert id_time_ms(new_id()) > 1_700_000_000_000


@pytest.mark.parametrize("now_ms", [-1, 1 << 48])
def test_a_time_outside_48_bits_is_refused(now_ms: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        new_id(now_ms)


def test_only_ids_have_a_time() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        id_time_ms(b"short")
