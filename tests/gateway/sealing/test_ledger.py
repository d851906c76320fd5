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
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.epochs import EpochKeys
from gateway.sealing.ids import new_id
from gateway.sealing.ledger import (
    LEDGER_VARIABLE,
    SEALS_VARIABLE,
    FileLedger,
    from_environment,
    key_name,
    recorded_seals,
    repeated_seals,
    sealing_aead,
    set_ledger,
)
from gateway.sealing.row import RowSealer
from gateway.sealing.stream import BlobSealer
from tests.gateway.sealing.material import ACCOUNT, CALLER, SMALL, FakeBucketKeyStore, FakeKMS, envelope, key
from tests.harness import REPOSITORY


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Path]:
    """Here, and not in the ledger of the run."""
    before = set_ledger(FileLedger([tmp_path], tmp_path))
    yield tmp_path
    set_ledger(before)


def keys_of(directory: Path) -> list[str]:
    return (directory / f"{os.getpid()}.keys").read_text().splitlines()


def test_nothing_is_recorded_without_a_ledger(unrecorded: None) -> None:
    assert isinstance(sealing_aead(bytes(32)), AESGCM)


def test_every_seal_of_a_blob_is_recorded(recorded: Path) -> None:
    data_key = key()
    sealer = BlobSealer(data_key, new_id(), seg_log2=14)
    sealer.seal(bytes(2 * SMALL), final=False)
    sealer.seal(b"x")
    sealer.footer(envelope(), b"{}")
    seals = [(record[:16], record[16:].hex()) for record in recorded_seals(recorded)]
    assert [nonce for _, nonce in seals] == [
        "0000000000000000000000" + "00",
        "0000000000000000000001" + "00",
        "0000000000000000000002" + "01",
        "00" * 12,
    ]
    assert len({name for name, _ in seals}) == 2
    keys = keys_of(recorded)
    assert data_key.reveal().hex() in keys
    assert {name for name, _ in seals} < {key_name(bytes.fromhex(line)) for line in keys}
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
    assert len(list(recorded_seals(recorded))) == 3 * (1 + 1 + 1 + 1 + 2 + 1)
    assert repeated_seals(recorded) == []
    known = set(keys_of(recorded))
    (bucket_key,) = [opened.key for opened in bucket_keys._cache.values()]
    assert {secret.reveal().hex() for secret in (index_key, service_key, data_key)} | {bucket_key.hex()} <= known
    bucket_keys.close()


def test_a_repeated_pair_is_found(recorded: Path) -> None:
    sealing_aead(b"k" * 32).encrypt(bytes(12), b"one", None)
    out = bytearray(19)
    assert sealing_aead(b"k" * 32).encrypt_into(bytes(12), b"two", None, out) == 19
    expected = f"{hashlib.sha256(b'k' * 32).hexdigest()[:32]} {bytes(12).hex()}"
    assert repeated_seals(recorded) == [expected]
    assert keys_of(recorded) == [(b"k" * 32).hex()]


def test_repeats_are_found_across_processes(tmp_path: Path) -> None:
    same = bytes(range(28))
    for name in (b"1", b"2"):
        (tmp_path / f"{name.decode()}.seals").write_bytes(same + name * 28)
    assert repeated_seals(tmp_path) == [f"{same[:16].hex()} {same[16:].hex()}"]


def test_a_cut_record_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "1.seals").write_bytes(bytes(27))
    with pytest.raises(ValueError, match="ends within a record"):
        repeated_seals(tmp_path)


def test_the_environment_switches_keys_on_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert isinstance(from_environment({LEDGER_VARIABLE: str(tmp_path)}), FileLedger)
    assert "in clear" in caplog.text
    assert {path.suffix for path in tmp_path.iterdir()} == {".seals", ".keys"}
    assert from_environment({}) is None
    assert from_environment({LEDGER_VARIABLE: "", SEALS_VARIABLE: ""}) is None


def test_seals_alone_give_no_key_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = from_environment({SEALS_VARIABLE: str(tmp_path)})
    assert caplog.text == ""
    assert made is not None
    made.key(b"k" * 32)
    made.seal(key_name(b"k" * 32), bytes(12))
    (seals,) = tmp_path.iterdir()
    assert seals.read_bytes() == hashlib.sha256(b"k" * 32).digest()[:16] + bytes(12)


def test_a_process_with_the_variables_records(tmp_path: Path) -> None:
    program = "from gateway.sealing.ledger import sealing_aead; sealing_aead(bytes(32)).encrypt(bytes(12), b'', b'')"
    for name in ("seals", "keys"):
        (tmp_path / name).mkdir()
    variables = {SEALS_VARIABLE: str(tmp_path / "seals"), LEDGER_VARIABLE: str(tmp_path / "keys")}
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **variables}, check=True, cwd=REPOSITORY)
    for directory in tmp_path.iterdir():
        (seals,) = directory.glob("*.seals")
        assert seals.read_bytes() == key_name(bytes(32)) + bytes(12)
        assert (seals.stat().st_mode & 0o777) == 0o600
