"""Checkpoints: a thread that signs the head of the chain in the HSM whenever one is due.

It never holds up the trail: while the HSM is away, or hangs, lines are written without, and the next checkpoint that
can be signed covers them all.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import msgspec

from kms.audit.event import utc_now
from kms.audit.files import PUBLIC_KEYS_NAME
from kms.audit.lines import MAX_CHECKPOINT_LAG, Checkpoint, Head
from kms.audit.signatures import (
    BadPublicKey,
    Signer,
    format_pem,
    is_signed,
    key_id,
    load_public_key,
    load_public_keys,
)

log = logging.getLogger(__name__)

MAX_UNCOVERED_LINES: Final = 1000
"""After so many lines a checkpoint is due before its time."""

RETRY_SECONDS: Final = 5.0
"""Between two attempts while the HSM does not sign."""


STOP: Final = "stop"
"""The reason of the last checkpoint."""


class NotSigned(Exception):
    """The signer gave what is no signature under its own public key."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the trail is. `last_event` is the number of the last line that is no checkpoint: what must be covered."""

    node: str
    head: Head
    last_event: int


class Checkpoints:
    """Signs in a thread of its own, from which `position` is asked, and `deliver` called.

    `gave_up` is called when the last one, for the stop, could not be signed: it is not tried again.
    """

    def __init__(
        self,
        signer: Signer,
        directory: Path,
        *,
        interval_seconds: float,
        epoch: Callable[[], int],
        position: Callable[[], Position | None],
        deliver: Callable[[Checkpoint], None],
        gave_up: Callable[[], None],
    ) -> None:
        self._signer = signer
        self._directory = directory
        self._interval_seconds = interval_seconds
        self._epoch = epoch
        self._position = position
        self._deliver = deliver
        self._gave_up = gave_up
        self._covered = 0
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._asked.put("start")
        self._is_ended = False
        self._wake = threading.Event()
        self._failure: str | None = None
        self._published: set[str] = set()
        # A daemon: one that hangs in the HSM does not keep the process.
        self._thread = threading.Thread(target=self._run, name="audit-checkpoints", daemon=True)

    @property
    def failure(self) -> str | None:
        """Why the last attempt failed, None if it did not."""
        return self._failure

    def start(self) -> None:
        self._thread.start()

    def ask(self, reason: str) -> None:
        """Make one as soon as possible, for `reason`. Thread-safe."""
        self._asked.put(reason)
        self._wake.set()

    def notice(self, seq: int) -> None:
        """The trail has come to line `seq`. While the HSM does not sign, its next attempt has its own time."""
        is_due = seq - self._covered >= MAX_UNCOVERED_LINES or not self._asked.empty()
        if is_due and self._failure is None:
            self._wake.set()

    def end(self) -> None:
        """Make no more. Does not wait for a signature that hangs."""
        self._is_ended = True
        self._wake.set()

    def _run(self) -> None:
        while not self._is_ended:
            self._wake.wait(RETRY_SECONDS if self._failure is not None else self._interval_seconds)
            self._wake.clear()
            position = self._position()
            if position is None or self._is_ended:
                continue
            reasons = [self._asked.get_nowait() for _ in range(self._asked.qsize())]
            if not reasons and position.last_event <= self._covered:
                continue
            try:
                self._make(position, reasons[-1] if reasons else "interval")
            except Exception as error:  # whatever ails the HSM: the trail goes on, and this is tried again
                self._failed(f"{type(error).__name__}: {error}")
                if STOP in reasons:
                    self._gave_up()
                elif reasons:
                    self._asked.put(reasons[-1])

    def _make(self, position: Position, reason: str) -> None:
        public_key = self._signer.audit_public_key()
        covered = position.head
        unsigned = Checkpoint(
            time=utc_now().isoformat(),
            node=position.node,
            epoch=self._epoch(),
            reason=reason,
            covers=covered.seq,
            hash=covered.hash,
            key_id=key_id(public_key),
            signature=b"",
        )
        signature = self._signer.sign(hashlib.sha256(unsigned.statement()).digest())
        checkpoint = msgspec.structs.replace(unsigned, signature=signature)
        if not is_signed(checkpoint, {checkpoint.key_id: load_public_key(public_key)}):
            raise NotSigned("what the HSM signed does not verify under its public key")
        self._publish(public_key, checkpoint.key_id)
        now = self._position()
        if now is not None and now.head.seq - covered.seq > MAX_CHECKPOINT_LAG // 2:
            raise NotSigned(f"signing took so long that {now.head.seq - covered.seq} lines were written meanwhile")
        self._covered = covered.seq
        if self._failure is not None:
            log.info("checkpoints of the audit trail are signed again")
            self._failure = None
        self._deliver(checkpoint)

    def _publish(self, public_key: bytes, name: str) -> None:
        """Put the public key beside the trail, once, after those of earlier roots. Raises OSError."""
        if name in self._published:
            return
        path = self._directory / PUBLIC_KEYS_NAME
        present = path.read_text("ascii") if path.exists() else ""
        if name not in _known(present):
            temporary = path.with_suffix(".pem.new")
            temporary.write_text(present + format_pem(public_key), "ascii")
            temporary.replace(path)
        self._published.add(name)

    def _failed(self, cause: str) -> None:
        if cause != self._failure:
            log.warning("checkpoints of the audit trail are not signed: %s", cause)
        self._failure = cause


def _known(pems: str) -> set[str]:
    try:
        return set(load_public_keys([pems]))
    except BadPublicKey:
        return set()
