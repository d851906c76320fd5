"""Where a store on PostgreSQL is: a URL as PostgreSQL's own clients take it, but never with a password.

https://www.postgresql.org/docs/current/libpq-connect.html, "Connection URIs"
https://www.postgresql.org/docs/current/libpq-ssl.html, "SSL Mode Descriptions"
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

_SCHEMES: Final = ("postgresql", "postgres")
_OPTIONS: Final = frozenset(
    {"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "target_session_attrs"}
)

_VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
_CERTAIN: Final = frozenset({"disable", "require", *_VERIFYING})
"""`allow` and `prefer` go on in plain text with whoever says that it has no TLS: an attacker, for one."""


def check_url(text: str) -> None:
    """Raises ValueError, which never quotes `text`: it may hold what it must not.

    A server on another machine is reached with TLS or without, as `sslmode` says; it must say.
    """
    url = urlsplit(text)
    if url.scheme not in _SCHEMES:
        raise ValueError('expected "sqlite" or a URL "postgresql://USER@HOST:PORT/DATABASE"')
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if url.password is not None or {"password", "passfile"} & options.keys():
        raise ValueError("a URL must not hold a password: put it into the file database.password_file")
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown or url.fragment:
        raise ValueError(f"unknown options in the URL; there are {', '.join(sorted(_OPTIONS))}")
    if not url.username or not url.path.strip("/"):
        raise ValueError("the URL names no user, or no database")
    mode = options.get("sslmode")
    if mode is not None and mode not in _CERTAIN:
        raise ValueError(f"sslmode is one of {', '.join(sorted(_CERTAIN))}")
    if mode is None and is_remote(text):
        raise ValueError("the URL names another machine without sslmode: add ?sslmode=verify-full&sslrootcert=FILE")


def is_remote(text: str) -> bool:
    """Whether any of a URL's hosts is another machine."""
    return not all(is_local(host) for host in hosts_of(text))


def verifies_server(text: str) -> bool:
    """Whether a URL wants the server's certificate verified: without, the password goes to whoever answers."""
    return dict(parse_qsl(urlsplit(text).query)).get("sslmode") in _VERIFYING


def hosts_of(text: str) -> tuple[str, ...]:
    """Names, addresses or directories of sockets, without ports; one that is empty is this machine."""
    url = urlsplit(text)
    named = dict(parse_qsl(url.query)).get("host")
    if named is not None:
        return tuple(named.split(","))
    return tuple(_without_port(unquote(host)) for host in url.netloc.rpartition("@")[2].split(","))


def is_local(host: str) -> bool:
    """Whether what is sent there does not leave this machine."""
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
