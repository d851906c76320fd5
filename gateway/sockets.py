"""Listening sockets, bound by the supervisor and inherited by its children."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from gateway.config_reader import format_address, parse_address

BACKLOG = 1024
MAX_UNIX_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""sun_path without its closing zero: unix(7), and sys/un.h of the BSDs."""

HAS_BALANCED_REUSEPORT = sys.platform == "linux"
"""Only Linux spreads connections over the sockets of one port; elsewhere all workers accept from one socket."""


class BindError(OSError):
    """An address that cannot be listened on; the message says which and why."""


def bind_workers(address: str, count: int) -> list[socket.socket]:
    """`count` listening sockets on one address; port 0 takes a free port, the same for all.

    With a socket for each worker, connections wait in the backlog of a worker that restarts. Where the system cannot
    spread connections over several sockets, all entries are the same socket.
    """
    first = bind(address)
    if not HAS_BALANCED_REUSEPORT:
        return [first] * count
    # SO_REUSEPORT lets any process of this user share the port unnoticed, a second gateway included. So the port is
    # first taken without it (which fails if anyone listens there), and then shared on purpose.
    actual = local_address(first)
    first.close()
    return [bind(actual, reuse_port=True) for _ in range(count)]


def bind(address: str, *, reuse_port: bool = False) -> socket.socket:
    """A listening TCP socket. Raises BindError."""
    host, port = parse_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BindError(f"cannot listen on {address}: {error.strerror or error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise BindError(f"cannot listen on {address}: {error.strerror or error}") from error
    return sock


def bind_unix(path: Path) -> socket.socket:
    """A listening Unix socket of mode 0600 at `path`; one that a dead process left behind is replaced."""
    problem = unix_path_problem(path)
    if problem is not None:
        raise BindError(problem)
    if is_answered(path):
        raise BindError(f"cannot listen on {path}: another process does; give each gateway a kms.socket of its own")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        previous = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(previous)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise BindError(f"cannot listen on {path}: {error.strerror or error}") from error
    return sock


def is_answered(path: Path) -> bool:
    """Whether a process listens on the Unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True  # someone is there, with a full backlog
        except OSError:
            return False
    return True


def unix_path_problem(path: Path) -> str | None:
    """A sentence if `path` is too long for a Unix socket."""
    size = len(os.fsencode(path))
    if size <= MAX_UNIX_PATH_BYTES:
        return None
    return (
        f"the socket path {path} has {size} bytes, and the system allows {MAX_UNIX_PATH_BYTES}: "
        "set kms.socket to a shorter path"
    )


def local_address(sock: socket.socket) -> str:
    """host:port that a bound socket really has."""
    host, port = sock.getsockname()[:2]
    return format_address(host, port)
