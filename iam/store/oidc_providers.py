"""OpenID Connect providers in the identity database: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

import json
import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

from iam.credentials import Account
from iam.oidc_providers import (
    MAX_CLIENT_IDS,
    MAX_PROVIDERS,
    MAX_THUMBPRINTS,
    OIDCProvider,
    check_provider_url,
    check_thumbprint,
)
from iam.store.entities import format_tags, parse_tags
from iam.store.interface import (
    NoSuchProvider,
    ProviderExists,
    TooManyClientIds,
    TooManyProviders,
    TooManyThumbprints,
)
from iam.store.part import StorePart
from iam.tags import Tags, check_tags, regard_case, with_tags, without_tags

_INSERT = (
    "INSERT INTO oidc_provider (account_id, name, url, created_us, client_ids, thumbprints, tags)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PROVIDERS = "SELECT account_id, url, created_us, client_ids, thumbprints, tags FROM intact_oidc_provider"


class SQLiteProviders(StorePart):
    """See `IdentityStore` for what the methods promise."""

    @abstractmethod
    def account(self, account_id: str) -> Account: ...

    def create_oidc_provider(self, provider: OIDCProvider) -> None:
        check_provider_url(provider.url)
        row = (provider.account_id, provider.name, provider.url, provider.created_us, *_lists(provider))
        with self._changing():
            self.account(provider.account_id)
            (count,) = self._connection.execute(
                "SELECT count(*) FROM oidc_provider WHERE account_id = ?", (provider.account_id,)
            ).fetchone()
            if count >= MAX_PROVIDERS:
                raise TooManyProviders(f"an account has at most {MAX_PROVIDERS} OpenID Connect providers")
            try:
                self._connection.execute(_INSERT, row)
            except sqlite3.IntegrityError as error:
                raise ProviderExists(f"the provider {provider.name} exists already", provider.url) from error

    def oidc_provider(self, account_id: str, arn: str) -> OIDCProvider:
        name = arn.removeprefix(f"arn:aws:iam::{account_id}:oidc-provider/")
        with self._reading():
            row = None
            if name != arn and arn.isascii():
                row = self._connection.execute(
                    f"{_PROVIDERS} WHERE account_id = ? AND name = ?", (account_id, name)
                ).fetchone()
        if row is None:
            raise NoSuchProvider(f"account {account_id} has no provider {arn[:300]!r}", arn)
        return _provider_of(row)

    def oidc_providers(self, account_id: str) -> Sequence[OIDCProvider]:
        with self._reading():
            self.account(account_id)
            rows = self._connection.execute(f"{_PROVIDERS} WHERE account_id = ? ORDER BY name", (account_id,))
            return [_provider_of(row) for row in rows]

    def delete_oidc_provider(self, account_id: str, arn: str) -> None:
        with self._changing():
            provider = self.oidc_provider(account_id, arn)
            self._connection.execute(
                "DELETE FROM oidc_provider WHERE account_id = ? AND name = ?", (account_id, provider.name)
            )

    def add_client_id(self, account_id: str, arn: str, client_id: str) -> None:
        self._change(account_id, arn, lambda found: replace(found, client_ids=(*_without(found, client_id), client_id)))

    def remove_client_id(self, account_id: str, arn: str, client_id: str) -> None:
        self._change(account_id, arn, lambda found: replace(found, client_ids=_without(found, client_id)))

    def set_thumbprints(self, account_id: str, arn: str, thumbprints: Sequence[str]) -> None:
        self._change(account_id, arn, lambda found: replace(found, thumbprints=tuple(thumbprints)))

    def tag_oidc_provider(self, account_id: str, arn: str, tags: Tags) -> None:
        check_tags(tags, regard_case)
        self._change(account_id, arn, lambda found: replace(found, tags=with_tags(found.tags, tags, regard_case)))

    def untag_oidc_provider(self, account_id: str, arn: str, keys: Sequence[str]) -> None:
        self._change(account_id, arn, lambda found: replace(found, tags=without_tags(found.tags, keys, regard_case)))

    def _change(self, account_id: str, arn: str, change: Callable[[OIDCProvider], OIDCProvider]) -> None:
        with self._changing():
            changed = change(self.oidc_provider(account_id, arn))
            self._connection.execute(
                "UPDATE oidc_provider SET client_ids = ?, thumbprints = ?, tags = ? WHERE account_id = ? AND name = ?",
                (*_lists(changed), account_id, changed.name),
            )


def _without(provider: OIDCProvider, client_id: str) -> tuple[str, ...]:
    return tuple(each for each in provider.client_ids if each != client_id)


def _lists(provider: OIDCProvider) -> tuple[str, str, str]:
    """As they lie in the database. Raises TooManyClientIds, TooManyThumbprints, TooManyTags, ValueError."""
    if len(provider.client_ids) > MAX_CLIENT_IDS:
        raise TooManyClientIds(f"a provider has at most {MAX_CLIENT_IDS} client ids")
    if len(provider.thumbprints) > MAX_THUMBPRINTS:
        raise TooManyThumbprints(f"a provider has at most {MAX_THUMBPRINTS} thumbprints")
    for each in provider.thumbprints:
        check_thumbprint(each)
    client_ids = json.dumps(list(dict.fromkeys(provider.client_ids)), ensure_ascii=False)
    return client_ids, json.dumps(provider.thumbprints), format_tags(provider.tags, regard_case)


def _provider_of(row: tuple[str, str, int, str, str, str]) -> OIDCProvider:
    account_id, url, created_us, client_ids, thumbprints, tags = row
    return OIDCProvider(
        account_id, url, created_us, tuple(json.loads(client_ids)), tuple(json.loads(thumbprints)), parse_tags(tags)
    )
