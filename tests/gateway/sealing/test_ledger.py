from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol.modes import Mode
from gateway.sealing import ledger
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.epochs import EpochKeys
from gateway.sealing.ids import new_id
from gateway.sealing.ledger import FileLedger, repeated_seals, sealing_aead, set_ledger
from gateway.sealing.row import RowSealer
from gateway.sealing.stream import BlobSealer
from tests.gateway.sealing.material import ACCOUNT, CALLER, SMALL, FakeBucketKeyStore, FakeKMS, envelope, key


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Path]:
    before = set_ledger(FileLedger(tmp_path))
    yield tmp_path
    set_ledger(before)


def lines(directory: Path, kind: str) -> list[str]:
    return (directory / f"{os.getpid()}.{kind}").read_text().splitlines()


def test_nothing_is_recorded_by_default() -> None:
    assert isinstance(sealing_aead(bytes(32)), AESGCM)


def test_every_seal_of_a_blob_is_recorded(recorded: Path) -> None:
    data_key = key()
    sealer = BlobSealer(data_key, new_id(), seg_log2=14)
    sealer.seal(bytes(2 * SMALL), final=False)
    sealer.seal(b"x")
    sealer.footer(envelope(), b"{}")
    seals = [line.split() for line in lines(recorded, "seals")]
    assert [nonce for _, nonce in seals] == [
        "0000000000000000000000" + "00",
        "0000000000000000000001" + "00",
        "0000000000000000000002" + "01",
        "00" * 12,
    ]
    assert len({hashed for hashed, _ in seals}) == 2
    keys = lines(recorded, "keys")
    assert data_key.reveal().hex() in keys
    assert {hashed for hashed, _ in seals} < {hashlib.sha256(bytes.fromhex(line)).hexdigest() for line in keys}
    assert repeated_seals(recorded) == []


async def test_everything_that_seals_is_recorded_and_nothing_repeats(recorded: Path) -> None:
    index_key, service_key, data_key = key(), key(), key()
    rows = RowSealer({1: index_key}, 1)
    kms = FakeKMS()
    bucket_keys = FakeBucketKeyStore().worker(kms)
    data_keys = DataKeys(kms.service, EpochKeys({1: service_key}, 1), bucket_keys)
    for _ in range(3):  # the same row, revision, wrap, and a part that is sent again: all from the same inputs
        rows.seal(bytes(16), 1, (b"a",), b"document")
        for mode in (Mode.SSE_S3, Mode.SSE_KMS_BUCKET_KEY, Mode.DSSE_KMS):
            await data_keys.create(
                CALLER,
                mode,
                kms_key_id=None,
                context={},
                account_id=ACCOUNT,
                bucket_id=bytes(16),
                row_uid=bytes(16),
                object_arn="arn:aws:s3:::bucket/key",
            )
        sealer = BlobSealer(data_key, bytes(16), second_key=data_key)
        sealer.seal(b"part")
        sealer.footer(envelope(), b"{}")
    assert len(lines(recorded, "seals")) == 3 * (1 + 1 + 1 + 1 + 2 + 1)
    assert repeated_seals(recorded) == []
    known = set(lines(recorded, "keys"))
    (bucket_key,) = [opened.key for opened in bucket_keys._cache.values()]
    assert {secret.reveal().hex() for secret in (index_key, service_key, data_key)} | {bucket_key.hex()} <= known
    bucket_keys.close()


def test_a_repeated_pair_is_found(recorded: Path) -> None:
    sealing_aead(b"k" * 32).encrypt(bytes(12), b"one", None)
    out = bytearray(19)
    assert sealing_aead(b"k" * 32).encrypt_into(bytes(12), b"two", None, out) == 19
    expected = f"{hashlib.sha256(b'k' * 32).hexdigest()} {bytes(12).hex()}"
    assert repeated_seals(recorded) == [expected]
    assert lines(recorded, "keys") == [(b"k" * 32).hex()]


def test_repeats_are_found_across_processes(tmp_path: Path) -> None:
    for name in ("1.seals", "2.seals"):
        (tmp_path / name).write_text("same pair\nother " + name + "\n")
    assert repeated_seals(tmp_path) == ["same pair"]


def test_the_environment_switches_it_on_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert isinstance(ledger._from_environment({ledger.ENVIRONMENT_VARIABLE: str(tmp_path)}), FileLedger)
    assert "in clear" in caplog.text
    assert ledger._from_environment({}) is None
    assert ledger._from_environment({ledger.ENVIRONMENT_VARIABLE: ""}) is None


def test_a_process_with_the_variable_records(tmp_path: Path) -> None:
    program = "from gateway.sealing.ledger import sealing_aead; sealing_aead(bytes(32)).encrypt(bytes(12), b'', b'')"
    environment = {**os.environ, ledger.ENVIRONMENT_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, cwd=Path(__file__).parents[3])
    (seals,) = tmp_path.glob("*.seals")
    assert seals.read_text() == f"{hashlib.sha256(bytes(32)).hexdigest()} {bytes(12).hex()}\n"
    assert (seals.stat().st_mode & 0o777) == 0o600
