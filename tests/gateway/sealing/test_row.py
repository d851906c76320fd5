from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.row import MAX_REVISION, ROW_OVERHEAD, RowSealer
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import key

UID = bytes(range(16))
CLEAR = (b"object", b"123456789012", b"a/key", b"null", b"", b"\0\0\0\0\0\0\0\x05")
DOCUMENT = b'{"etag":"0123","user":{"a":"b"}}'
ROWS = RowSealer({1: key(), 2: key()}, 2)
SEALED = ROWS.seal(UID, 7, CLEAR, DOCUMENT)


def refused(uid: bytes = UID, revision: int = 7, clear: tuple[bytes, ...] = CLEAR, sealed: bytes = SEALED) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        ROWS.open(uid, revision, clear, sealed)
    assert caught.value.row_uid == uid
    assert str(caught.value) == "authentication failed"


@given(st.lists(st.binary(max_size=40), max_size=8), st.binary(max_size=300), st.integers(0, MAX_REVISION))
def test_what_was_sealed_opens(clear: list[bytes], document: bytes, revision: int) -> None:
    sealed = ROWS.seal(UID, revision, clear, document)
    assert ROWS.open(UID, revision, clear, sealed) == document
    assert len(sealed) == len(document) + ROW_OVERHEAD


@pytest.mark.parametrize("column", range(len(CLEAR)))
def test_any_changed_clear_column_is_refused(column: int) -> None:
    for other in (CLEAR[column] + b"\0", CLEAR[column][:-1] + b"!", b"x" + CLEAR[column]):
        refused(clear=(*CLEAR[:column], other, *CLEAR[column + 1 :]))
    refused(clear=(*CLEAR[:column], *CLEAR[column + 1 :]))


def test_moved_joined_and_added_columns_are_refused() -> None:
    refused(clear=CLEAR[::-1])
    refused(clear=(*CLEAR, b""))
    refused(clear=(CLEAR[0] + CLEAR[1], *CLEAR[2:]))
    refused(clear=(CLEAR[0] + CLEAR[1], b"", *CLEAR[2:]))
    refused(clear=())


def test_any_changed_bit_is_refused() -> None:
    for bit in range(8 * len(SEALED)):
        changed = bytearray(SEALED)
        changed[bit // 8] ^= 1 << bit % 8
        refused(sealed=bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 27, 28, 43, len(SEALED) - 1])
def test_a_cut_column_is_refused(length: int) -> None:
    refused(sealed=SEALED[:length])


def test_an_extended_column_is_refused() -> None:
    refused(sealed=SEALED + b"\0")


def test_another_row_or_revision_is_refused() -> None:
    refused(uid=bytes(16))
    refused(uid=UID[:15])
    refused(uid=b"")
    for revision in (-1, 0, 6, 8, 1 << 64):
        refused(revision=revision)


def test_revisions_cannot_be_relabelled() -> None:
    refused(revision=8, sealed=SEALED[:4] + (8).to_bytes(8, "big") + SEALED[12:])


def test_one_revision_sealed_twice_shares_no_key() -> None:
    """Two writers in a race, or a backup that was put back: the salt keeps key and nonce from repeating."""
    first, second = (ROWS.seal(UID, 7, CLEAR, DOCUMENT) for _ in range(2))
    assert first[:12] == second[:12]
    assert first[12:28] != second[12:28]
    refused(sealed=first[:28] + second[28:])


def test_old_epochs_open_and_the_current_one_seals() -> None:
    keys = {1: key(), 2: key()}
    before, after = RowSealer({1: keys[1]}, 1), RowSealer(keys, 2)
    old = before.seal(UID, 1, CLEAR, DOCUMENT)
    assert after.open(UID, 1, CLEAR, old) == DOCUMENT
    new = after.seal(UID, 1, CLEAR, DOCUMENT)
    assert new[:4] == b"\0\0\0\2"
    with pytest.raises(AuthenticationFailed):
        before.open(UID, 1, CLEAR, new)
    with pytest.raises(AuthenticationFailed):
        RowSealer({1: key()}, 1).open(UID, 1, CLEAR, old)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="epoch"):
        RowSealer({1: key()}, 2)
    for uid, revision in ((UID[:15], 0), (UID, -1), (UID, MAX_REVISION + 1)):
        with pytest.raises(ValueError, match="16 bytes"):
            ROWS.seal(uid, revision, CLEAR, DOCUMENT)


def test_keys_do_not_show() -> None:
    secret = b"index key, 32 bytes, not secret!"
    assert "not secret" not in repr(vars(RowSealer({1: SecretBytes(secret)}, 1)))
