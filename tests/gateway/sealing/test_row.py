from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing import row
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.row import MAX_EPOCH, MAX_REVISION, ROW_OVERHEAD, RowSealer, associated_data, is_of_a_block
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


@pytest.mark.parametrize("length", [0, 1, 3, 4, 19, 20, 21, 27, 28, 31, 32, 47, len(SEALED) - 1])
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


def test_one_revision_sealed_twice_shares_no_nonce() -> None:
    """Two writers in a race, or a backup that was put back: key and nonce do not repeat."""
    first, second = (ROWS.seal(UID, 7, CLEAR, DOCUMENT) for _ in range(2))
    assert first[:20] == second[:20]
    assert first[20:32] != second[20:32]
    refused(sealed=first[:32] + second[32:])


def test_every_sealer_has_blocks_of_its_own_which_all_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row, "MAX_BLOCK_SEALS", 3)
    monkeypatch.setattr(row, "MAX_KNOWN_BLOCKS", 2)
    keys = {1: key()}
    sealers = [RowSealer(keys, 1) for _ in range(2)]
    sealed = [sealer.seal(UID, 7, CLEAR, b"%d" % number) for sealer in sealers for number in range(7)]
    blocks = [each[:20] for each in sealed]
    assert [blocks.count(block) for block in dict.fromkeys(blocks)] == [3, 3, 1] * 2
    proofs = [(UID, associated_data(UID, 7, CLEAR), each) for each in sealed]
    assert sealers[0].open_all(proofs) == [b"%d" % number for number in range(7)] * 2
    assert sealers[0].open_all(proofs[::-1]) == [b"%d" % number for number in range(7)][::-1] * 2


def test_threads_share_a_sealer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row, "MAX_BLOCK_SEALS", 10)
    rows, sealed = RowSealer({1: key()}, 1), list[bytes]()
    threads = [
        threading.Thread(target=lambda: sealed.extend(rows.seal(UID, 7, CLEAR, DOCUMENT) for _ in range(100)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {rows.open(UID, 7, CLEAR, each) for each in sealed} == {DOCUMENT}
    blocks = [each[:20] for each in sealed]
    assert [blocks.count(block) for block in set(blocks)] == [10] * 40


def test_a_row_with_a_key_of_its_own_is_not_opened_as_one_of_a_block() -> None:
    old = b"\0\0\0\2" + SEALED[4:]
    assert is_of_a_block(SEALED)
    assert not is_of_a_block(old)
    refused(sealed=old)
    with pytest.raises(AuthenticationFailed):
        ROWS.open_all([(UID, associated_data(UID, 7, CLEAR), old)])
    with pytest.raises(AuthenticationFailed):
        ROWS.open_all([(UID + b"\0", associated_data(UID, 7, CLEAR), SEALED)])


def test_old_epochs_open_and_the_current_one_seals() -> None:
    keys = {1: key(), 2: key()}
    before, after = RowSealer({1: keys[1]}, 1), RowSealer(keys, 2)
    old = before.seal(UID, 1, CLEAR, DOCUMENT)
    assert after.open(UID, 1, CLEAR, old) == DOCUMENT
    new = after.seal(UID, 1, CLEAR, DOCUMENT)
    assert new[:4] == b"\x80\0\0\2"
    with pytest.raises(AuthenticationFailed):
        before.open(UID, 1, CLEAR, new)
    with pytest.raises(AuthenticationFailed):
        RowSealer({1: key()}, 1).open(UID, 1, CLEAR, old)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="epoch"):
        RowSealer({1: key()}, 2)
    with pytest.raises(ValueError, match="31 bits"):
        RowSealer({1: key(), MAX_EPOCH + 1: key()}, 1)
    for uid, revision in ((UID[:15], 0), (UID, -1), (UID, MAX_REVISION + 1)):
        with pytest.raises(ValueError, match="16 bytes"):
            ROWS.seal(uid, revision, CLEAR, DOCUMENT)


def test_keys_do_not_show() -> None:
    secret = b"index key, 32 bytes, not secret!"
    assert "not secret" not in repr(vars(RowSealer({1: SecretBytes(secret)}, 1)))
