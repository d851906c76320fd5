"""What the supervisor tells a worker at its start: one line of JSON on the worker's standard input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import Settings

ORPHAN_DRAIN_SECONDS = 5.0
"""A worker whose supervisor is gone ends sooner than usual: the next supervisor waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the supervisor tells a worker. `instance` names its slot; descriptors are inherited.

    Those of `listen_fds` and `admin_fd` are listening, `rates_fd` is of the table of rates that all workers share.
    `is_successor`: others serve on the same sockets, so that there is time to be unsealed first. `served_before`: one
    that had this order was ready once, so that clients are there, who must have an answer.
    """

    settings: Settings
    instance: str
    listen_fds: tuple[int, ...]
    admin_fd: int
    rates_fd: int
    is_successor: bool = False
    served_before: bool = False


def encode_order(order: Order) -> bytes:
    """One line."""
    return msgspec.json.encode(order, enc_hook=str) + b"\n"


def decode_order(line: bytes) -> Order:
    return msgspec.json.decode(line, type=Order, dec_hook=decode_path)


def decode_path(kind: type[Any], value: Any) -> Any:
    """For msgspec, of which paths are strings."""
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"no decoding of {kind}")
