"""TLS with a certificate that is replaced while serving.

The listening socket keeps one front context for its life. At each handshake its SNI callback puts the newest context
in its place, so a renewed certificate serves new connections, old ones go on, and a pair that does not load (half
written, key of another certificate) changes nothing but the log.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0

Stamp = tuple[tuple[int, int, int], ...]


class ReloadingTLS:
    """The TLS side of a listener. Raises OSError (ssl.SSLError included) if the pair does not load at the start."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._stamp = self._files_stamp()
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, front: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
        return context

    def _files_stamp(self) -> Stamp:
        """Inode, time and size of both files: a renewal by rename or by writing in place changes it."""
        files = [self._certificate] + ([self._key] if self._key is not None else [])
        found = [path.stat() for path in files]
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)

    def reload_if_changed(self) -> bool:
        """Take a changed pair into use; True if it was. A pair that does not load is reported once for each change."""
        try:
            stamp = self._files_stamp()
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            self._current = self._load()
        except OSError as error:
            log.error("the new TLS certificate in %s does not load, the old one stays: %s", self._certificate, error)
            return False
        log.info("TLS certificate reloaded from %s", self._certificate)
        return True

    async def watch(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Reload for ever; run as a task and cancelled at the end."""
        while True:
            await asyncio.sleep(poll_seconds)
            await asyncio.to_thread(self.reload_if_changed)


def _no_passphrase() -> str:
    """Without this OpenSSL would ask the terminal for the passphrase of an encrypted key."""
    raise ssl.SSLError("the TLS key is encrypted with a passphrase: store it without, in a file of mode 0600")
