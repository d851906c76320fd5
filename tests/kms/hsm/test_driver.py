from __future__ import annotations

from pathlib import Path

import pytest

from kms.hsm.driver import DEFAULT, Driver, IVMode, StrictRoot, Wrapping, format_driver, parse_driver, read_driver
from kms.hsm.interface import RootMisconfigured

DRIVERS = [
    (DEFAULT, ""),
    (Driver(wrapping=Wrapping.CBC_HMAC), 'wrapping = "cbc+hmac"\n'),
    (
        Driver(wrapping=Wrapping.GCM, gcm_iv=IVMode.APPENDED, max_sessions=2),
        'wrapping = "gcm"\ngcm_iv = "appended"\nmax_sessions = 2\n',
    ),
    (
        Driver(key_wrap_mechanism=0x80000123, os_locking=False, strict_root=StrictRoot.UNENFORCED),
        'strict_root = "unenforced"\nkey_wrap_mechanism = 0x80000123\nos_locking = false\n',
    ),
    (Driver(library_parameters="a='b\\c' \"d\""), 'library_parameters = "a=\'b\\\\c\' \\"d\\""\n'),
]


@pytest.mark.parametrize(("driver", "text"), DRIVERS)
def test_profiles_are_written_and_read(driver: Driver, text: str) -> None:
    assert format_driver(driver) == text
    assert parse_driver(text) == driver


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('wrapping = "xor"', "kw, gcm, cbc"),
        ('gcm_iv = "mine"', "caller"),
        ("strict_root = true", "enforced"),
        ("max_sessions = 0", "max_sessions"),
        ("max_sessions = 65", "max_sessions"),
        ("max_sessions = true", "max_sessions"),
        ("gcm_mechanism = 4294967296", "gcm_mechanism"),
        ('key_wrap_mechanism = "CKM_AES_KEY_WRAP"', "key_wrap_mechanism"),
        ("os_locking = 1", "os_locking"),
        ("library_parameters = 1", "library_parameters"),
        ('library_parameters = "a\\nb"', "library_parameters"),
        ('library_parameters = "' + "x" * 2049 + '"', "2048"),
        ("pin = 1234", "unknown: pin"),
        ("wrapping = ", "TOML"),
        ("wrapping = " + "[" * 5000, "nested"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, names: str) -> None:
    path = tmp_path / "driver.toml"
    path.write_text(text)
    with pytest.raises(RootMisconfigured, match=names):
        read_driver(path)


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(RootMisconfigured, match="No such file"):
        read_driver(tmp_path / "driver.toml")
    (tmp_path / "driver.toml").write_bytes(b"\xff")
    with pytest.raises(RootMisconfigured, match="no TOML"):
        read_driver(tmp_path / "driver.toml")
    (tmp_path / "driver.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(RootMisconfigured, match="65536"):
        read_driver(tmp_path / "driver.toml")
