"""Keys of identity providers: fetched from where they publish them, or read from files that the configuration names.

Only issuers that some account has configured are asked (whoever calls looks them up first), and what they answer is
bounded in time, size and number: one document that names the other, without redirects, over TLS that is verified, or
plain HTTP on this machine if that is allowed. Answers are kept for a while; a token that names an unknown key has them
fetched anew, but not more often than every `REFETCH_SECONDS`. Source: OpenID Connect Discovery 1.0, §4.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from iam.jose import NotAKeySet, VerificationKey, parse_key_set
from iam.oidc_providers import is_fetchable, is_loopback
from iam.web_identity import KeysUnavailable, KeysWrong

DISCOVERY = "/.well-known/openid-configuration"
MAX_DOCUMENT_BYTES = 256 * 1024
"""Of each document; a set of a hundred keys has some 50 KiB."""

REFETCH_SECONDS = 60.0
"""Between two fetches of one issuer's keys that tokens ask for by unknown key ids, or that fail."""

MAX_ISSUERS = 256
"""Remembered at once."""

MAX_FETCHES = 8
"""Under way at once."""

WAITS = 3
"""How many times the deadline of one document somebody waits for keys: two documents, and as long for a turn."""

Keys = tuple[VerificationKey, ...]


@dataclass(slots=True)
class _Known:
    """What an issuer last answered, or why it did not; `fetched` by the monotonic clock."""

    fetched: float
    keys: Keys = ()
    error: KeysUnavailable | KeysWrong | None = None

    def has(self, key_id: str | None) -> bool:
        return self.error is None and (key_id is None or any(key.key_id == key_id for key in self.keys))


class ProviderKeys:
    """`iam.web_identity.KeySource`. For one event loop."""

    def __init__(
        self,
        *,
        configured: Mapping[str, Keys],
        fetch_seconds: float,
        keep_seconds: float,
        allow_loopback: bool,
        ca_file: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`configured` are keys by issuer, which is then never asked. `ca_file` has certificates of authorities that
        are trusted besides the system's."""
        self._configured = configured
        self._timeout = aiohttp.ClientTimeout(total=fetch_seconds)
        self._wait_seconds = WAITS * fetch_seconds
        self._keep_seconds = keep_seconds
        self._allow_loopback = allow_loopback
        self._ca_file = ca_file
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._fetches = asyncio.Semaphore(MAX_FETCHES)
        self._session: aiohttp.ClientSession | None = None

    async def keys(self, issuer: str, key_id: str | None) -> Keys:
        """See `KeySource`. Raises KeysUnavailable, KeysWrong."""
        if issuer in self._configured:
            return self._configured[issuer]
        try:
            async with asyncio.timeout(self._wait_seconds):
                known = await self._known_now(issuer, key_id)
        except TimeoutError:
            raise KeysUnavailable("too many providers are slow at once") from None
        if known.error is not None:  # raised anew: the one that is remembered must not collect tracebacks
            raise type(known.error)(str(known.error))
        return known.keys

    async def _known_now(self, issuer: str, key_id: str | None) -> _Known:
        lock = self._locks.setdefault(issuer, asyncio.Lock())
        try:
            async with lock:  # those who ask for one issuer's keys at the same time have them fetched once
                known = self._known.get(issuer)
                if known is None or self._is_stale(known, key_id):
                    known = await self._remember(issuer)
                return known
        finally:
            if not lock.locked():
                self._locks.pop(issuer, None)

    def _is_stale(self, known: _Known, key_id: str | None) -> bool:
        age = self._clock() - known.fetched
        return age >= (self._keep_seconds if known.has(key_id) else min(REFETCH_SECONDS, self._keep_seconds))

    async def _remember(self, issuer: str) -> _Known:
        """A failure is remembered as well, so that nobody has an issuer asked by every token."""
        known = _Known(self._clock())
        try:
            async with self._fetches:
                known.keys = await self._fetch(issuer)
        except (KeysUnavailable, KeysWrong) as error:
            known.error = error
        self._known[issuer] = known
        self._known.move_to_end(issuer)
        while len(self._known) > MAX_ISSUERS:
            self._known.popitem(last=False)
        return known

    async def _fetch(self, issuer: str) -> Keys:
        configuration = _parsed(await self._document(issuer.rstrip("/") + DISCOVERY))
        location = configuration.get("jwks_uri")
        if configuration.get("issuer") != issuer:
            raise KeysWrong("the provider's configuration is another issuer's")
        if not isinstance(location, str) or (is_fetchable(location) and is_loopback(location) != is_loopback(issuer)):
            raise KeysWrong("the provider's configuration has no usable jwks_uri")
        try:
            return parse_key_set(await self._document(location))
        except NotAKeySet:
            raise KeysWrong("the provider's keys are no key set") from None

    async def _document(self, url: str) -> bytes:
        """Raises KeysUnavailable, KeysWrong."""
        if not is_fetchable(url):
            raise KeysWrong("a URL of the provider is none that is fetched")
        if is_loopback(url) and not self._allow_loopback:
            raise KeysUnavailable("issuers on this machine are not asked (webidentity.loopback)")
        try:
            async with self._opened().get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise KeysUnavailable(f"{url} answers {response.status}")
                document = await response.content.read(MAX_DOCUMENT_BYTES + 1)
                while len(document) <= MAX_DOCUMENT_BYTES and not response.content.at_eof():
                    document += await response.content.read(MAX_DOCUMENT_BYTES + 1 - len(document))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysUnavailable(f"{url}: {type(error).__name__}: {error}") from error
        if len(document) > MAX_DOCUMENT_BYTES:
            raise KeysWrong(f"{url} answers more than {MAX_DOCUMENT_BYTES} bytes")
        return document

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = ssl.create_default_context()
            if self._ca_file is not None:
                tls.load_verify_locations(self._ca_file)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_FETCHES, ssl=tls, force_close=True),
                timeout=self._timeout,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sealgate"},
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _parsed(document: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(document.decode("utf-8"))
    except (ValueError, RecursionError):
        raise KeysWrong("the provider's configuration is not JSON") from None
    if not isinstance(found, dict):
        raise KeysWrong("the provider's configuration is no object")
    return found
