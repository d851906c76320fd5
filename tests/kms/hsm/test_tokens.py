from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pkcs11 import TokenFlag

from kms.api.secrets import SecretBytes
from kms.hsm.errors import CredentialRejected
from kms.hsm.interface import RootMisconfigured
from kms.hsm.tokens import log_in, read_pin


def pin_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"1234", b"1234\n", b"1234\r\n"])
def test_pin_is_read_without_its_newline(tmp_path: Path, content: bytes) -> None:
    assert read_pin(pin_file(tmp_path / "pin", content)).reveal() == b"1234"


def test_spaces_belong_to_the_pin(tmp_path: Path) -> None:
    assert read_pin(pin_file(tmp_path / "pin", b" 12 34 \n\n")).reveal() == b" 12 34 \n"


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 256, b"x" * 100_000])
def test_pin_out_of_bounds_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RootMisconfigured, match="1 to 255"):
        read_pin(pin_file(tmp_path / "pin", content))


def test_the_longest_pin_fits(tmp_path: Path) -> None:
    assert len(read_pin(pin_file(tmp_path / "pin", b"x" * 255 + b"\r\n"))) == 255


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644])
def test_pin_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(RootMisconfigured, match="chmod 600"):
        read_pin(pin_file(tmp_path / "pin", b"1234", mode))


def test_missing_pin_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RootMisconfigured, match=str(tmp_path / "pin")):
        read_pin(tmp_path / "pin")


@pytest.mark.parametrize(
    ("flag", "message"), [(TokenFlag.USER_PIN_LOCKED, "locked"), (TokenFlag.USER_PIN_FINAL_TRY, "next wrong PIN")]
)
def test_the_last_try_before_a_token_locks_is_never_made(flag: TokenFlag, message: str) -> None:
    def open_session(**_: object) -> None:
        pytest.fail("a log-in was attempted")

    token: Any = SimpleNamespace(flags=TokenFlag.TOKEN_INITIALIZED | flag, label="t", open=open_session)
    with pytest.raises(CredentialRejected, match=message):
        log_in(token, SecretBytes(b"1234"))
