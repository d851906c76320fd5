"""A short self-test with known answers, run when a process starts and before anything is sealed.

It catches a broken or replaced crypto library, not errors of ours: those are for the test suite and its vectors. The
answers were computed by an independent implementation (tests/gateway/sealing/test_selftest.py does it again).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from gateway.sealing.customer_keys import WrongCustomerKey, customer_unwrap
from gateway.sealing.customer_keys import _wrap as _customer_wrap
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.ledger import set_ledger
from gateway.sealing.row import RowSealer, associated_data
from gateway.sealing.stream import BlobOpener, BlobSealer
from gateway.sealing.wraps import _wrap, local_unwrap
from kms.api.secrets import SecretBytes

KEY: Final = SecretBytes(bytes(range(32)))
SECOND_KEY: Final = SecretBytes(bytes(range(32, 64)))
BLOB_ID: Final = bytes(range(16))
SALT: Final = bytes(range(64, 96))
PLAINTEXT: Final = bytes(20_000)  # a full segment and a final one

ONE_LAYER_SHA256: Final = "9d2ea41c02abc1e2576a95c665de78f7c8a438c00a6678707a284c86ea689e12"
TWO_LAYERS_SHA256: Final = "313d6f2a6c84760f2184c2f3e96b173393da75f618a5b98c375d6b0f7ed4830b"
ROW: Final = bytes.fromhex(
    "80000001404142434445464748494a4b4c4d4e4f505152535455565758595a5b3974cdbe3c252c0c496606648237dbe6c08ede136f9ba2d4"
)
ROW_WITH_A_KEY: Final = bytes.fromhex(
    "000000010000000000000001404142434445464748494a4b4c4d4e4fa6cb5da6f0b8872b28adf0ff355d0b1fbf677412d5602ae1"
)
WRAPPED: Final = bytes.fromhex(
    "0100000001404142434445464748494a4b4c4d4e4f"
    "44335502c72c441f9929c5626ca173919ed6225b7f2822d2f2f3a904a5584e27b2aae7c7a0475fd930ed78b7db615d85"
)
ACCOUNT_ID: Final = "123456789012"
CUSTOMER_WRAPPED: Final = bytes.fromhex(
    "01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
    "6bc80cbc2706a4be103a528377acf2724c5aa61ffd20cf2a3b0d63c08b6ad5da"
    "432f0f2b995cff165e19b4535626975c786f951cf49006eaa70604a338759b18ecb507362e25ae401e87873809822863"
)
CHECKS: Final = 14


class SelfTestFailed(RuntimeError):
    """This program or its crypto library does not compute what the format says: it must not run."""


def run_self_test() -> int:
    """Run all checks; returns how many there were. Takes about a millisecond. Raises SelfTestFailed."""
    ledger = set_ledger(None)  # every process repeats these seals, under keys that anybody can read above
    try:
        done = _check_blob(None, ONE_LAYER_SHA256) + _check_blob(SECOND_KEY, TWO_LAYERS_SHA256)
        done += _check_row() + _check_wrap() + _check_customer_wrap()
    finally:
        set_ledger(ledger)
    _expect(done == CHECKS, "number of checks")
    return done


def _check_blob(second_key: SecretBytes | None, answer: str) -> int:
    sealer = BlobSealer(KEY, BLOB_ID, second_key=second_key, seg_log2=14, salt=SALT)
    segments = sealer.seal(PLAINTEXT)
    _expect(hashlib.sha256(sealer.header + segments).hexdigest() == answer, "sealed blob")

    def opener(key: SecretBytes) -> BlobOpener:
        return BlobOpener(
            key,
            sealer.header,
            blob_id=BLOB_ID,
            commitment=sealer.commitment,
            plain_length=len(PLAINTEXT),
            second_key=second_key,
        )

    _expect(opener(KEY).open(0, segments) == PLAINTEXT, "opened blob")
    changed = segments[:-1] + bytes((segments[-1] ^ 1,))
    _expect_refusal(lambda: opener(KEY).open(0, changed), "changed blob")
    return 3


def _check_row() -> int:
    rows = RowSealer({1: KEY}, 1)
    associated = associated_data(BLOB_ID, 1, (b"clear",))
    sealed = rows._new_block(SALT[:16]).seal(associated, b"document", SALT[16:28])
    _expect(sealed == ROW, "sealed row")
    _expect_refusal(lambda: rows.open(BLOB_ID, 1, (b"cl", b"ear"), sealed), "changed row")
    _expect(rows.open(BLOB_ID, 1, (b"clear",), ROW_WITH_A_KEY) == b"document", "opened row with a key of its own")
    return 3


def _check_wrap() -> int:
    _expect(_wrap(KEY.reveal(), 1, SECOND_KEY, b"aad", SALT[:16]) == WRAPPED, "wrapped key")
    _expect(local_unwrap({1: KEY}, WRAPPED, b"aad") == SECOND_KEY, "unwrapped key")
    return 2


def _check_customer_wrap() -> int:
    wrapped = _customer_wrap(KEY, SECOND_KEY, b"aad", account_id=ACCOUNT_ID, bucket_id=BLOB_ID, salt=SALT)
    _expect(wrapped == CUSTOMER_WRAPPED, "key wrapped by a customer's key")

    def unwrapped(key: SecretBytes) -> SecretBytes:
        return customer_unwrap(key, CUSTOMER_WRAPPED, b"aad", account_id=ACCOUNT_ID, bucket_id=BLOB_ID)

    _expect(unwrapped(KEY) == SECOND_KEY, "key unwrapped by a customer's key")
    _expect_refusal(lambda: unwrapped(SECOND_KEY), "another customer's key")
    return 3


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise SelfTestFailed(f"self-test of sealing failed: {what}")


def _expect_refusal(attempt: Callable[[], object], what: str) -> None:
    try:
        attempt()
    except (AuthenticationFailed, WrongCustomerKey):
        return
    raise SelfTestFailed(f"self-test of sealing failed: {what} was not refused")
