"""What operators write: the configuration, and driver profiles of tokens. A mistake in them gets a message."""

from __future__ import annotations

from pathlib import Path

from gateway.config import parse
from gateway.config_reader import ConfigError
from kms.hsm.driver import format_driver, parse_driver
from tests.fuzz.target import check_bounded, target


@target("configuration", b"[listen]", b"[kms]", b"address = ", b'"127.0.0.1:9000"', b"region = ", b"workers = ", b"[]",
        b"domains = [", b"tls_key = ", b"uri = ", b"pin-value", b"true", b"1e400", b"nan", b"0x",
        b"1979-05-27T07:32:00Z",
        b'"""', b"'''", b"[[", b"\\u0000", b"a.b.c", b"inf", b"_")  # fmt: skip
def configuration(data: bytes) -> str:
    """A configuration is refused by ConfigError, which names the file, or all that it says is within bounds."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "no text"  # refused where the file is read
    try:
        settings = parse(text, Path("/etc/sealgate.toml"))
    except ConfigError as error:
        check_bounded(len(str(error)), len(data))
        assert "sealgate.toml" in str(error)
        return str(error)[:60]
    assert 0 <= int(settings.listen.address.rpartition(":")[2]) < 65_536
    return "ok"


@target("driver", b'wrapping = "kw"', b'gcm_iv = "caller"', b'strict_root = "enforced"', b"key_wrap_mechanism = 0x2109",
        b"max_sessions = 8", b"os_locking = true", b'library_parameters = "a b"', b"\\n", b'"', b"\n",
        b"= ")  # fmt: skip
def driver(data: bytes) -> str:
    """A driver profile is refused by ValueError, or it is what it was read as: written and read again the same."""
    try:
        found = parse_driver(data.decode())
    except ValueError as error:
        check_bounded(len(str(error)), len(data))
        return str(error)[:40]
    assert parse_driver(format_driver(found)) == found
    return "ok"
