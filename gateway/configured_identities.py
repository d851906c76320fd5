"""Identities that the configuration names: read from their files, and made to be in the identity store at each start.

What the configuration names is there afterwards, and active; what it does not name is left alone, but for access keys
that an earlier start took from it: these are disabled. An access key or a canonical id that somebody made otherwise is
never taken over. Blocks.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.config import AccountSettings, ConfigError, Settings, UserSettings
from gateway.private_files import NotPrivate, read_private
from iam.credentials import (
    Account,
    Credential,
    check_access_key_id,
    check_account_id,
    check_canonical_id,
    check_display_name,
    check_email,
    check_secret,
    new_canonical_id,
)
from iam.entities import EntityKind, User, check_entity_name, check_path, new_entity_id
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.parse import MAX_BYTES, parse_policy
from iam.principals import PolicyText, Principal, root_principal
from iam.secrets import Secret
from iam.store.interface import AccessKeyExists, IdentityStore, NoSuchAccount, NoSuchUser

POLICY_NAME = "configured"
"""What a user's inline policy of the configuration is called."""

MAX_KEYS_FILE_BYTES = 1 << 20

LOCK_SECONDS = 10.0
"""How long a worker waits for others that make the same identities. They take milliseconds each."""
LOCK_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ConfiguredKey:
    """`place` is file and line."""

    access_key_id: str
    secret: Secret
    place: str


@dataclass(frozen=True, slots=True)
class ConfiguredUser:
    name: str
    path: str
    keys: tuple[ConfiguredKey, ...]
    policy: PolicyText | None


@dataclass(frozen=True, slots=True)
class ConfiguredAccount:
    """`canonical_id`, `name` and `email` None: the configuration does not say."""

    account_id: str
    canonical_id: str | None
    name: str | None
    email: str | None
    keys: tuple[ConfiguredKey, ...]
    users: tuple[ConfiguredUser, ...]


@dataclass(frozen=True, slots=True)
class ConfiguredIdentities:
    """`root_keys` are of the root user of the account that manages the others."""

    accounts: tuple[ConfiguredAccount, ...] = ()
    root_keys: tuple[ConfiguredKey, ...] = ()


def read_configured(settings: Settings) -> ConfiguredIdentities:
    """Raises ConfigError, which names setting or file and line, and never holds a secret."""
    reader = _Reader()
    accounts = tuple(reader.account(number, each) for number, each in enumerate(settings.account, 1))
    return ConfiguredIdentities(accounts, reader.keys(settings.access.root_access_keys_file))


class _Reader:
    """Remembers what stands where, since nothing may stand twice."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], str] = {}

    def account(self, number: int, given: AccountSettings) -> ConfiguredAccount:
        place = f"account[{number}]"
        with _told(f"{place}.id"):
            check_account_id(given.id)
        self._once("account", given.id, place)
        with _told(f"{place}.canonical_id"):
            canonical_id = check_canonical_id(given.canonical_id) if given.canonical_id else None
        with _told(f"{place}.name"):
            name = check_display_name(given.name) if given.name else None
        with _told(f"{place}.email"):
            email = check_email(given.email) if given.email else None
        keys = self.keys(given.access_keys_file)
        users = tuple(self._user(f"{place}.user[{index}]", given.id, each) for index, each in enumerate(given.user, 1))
        return ConfiguredAccount(given.id, canonical_id, name, email, keys, users)

    def _user(self, place: str, account_id: str, given: UserSettings) -> ConfiguredUser:
        with _told(f"{place}.name"):
            check_entity_name(EntityKind.USER, given.name)
        self._once("user", f"{account_id}/{given.name.lower()}", place)
        with _told(f"{place}.path"):
            check_path(given.path)
        policy = None if given.policy_file is None else PolicyText(POLICY_NAME, _read_policy(given.policy_file))
        return ConfiguredUser(given.name, given.path, self.keys(given.access_keys_file), policy)

    def keys(self, path: Path | None) -> tuple[ConfiguredKey, ...]:
        """Blank lines and those that begin with # are passed over."""
        if path is None:
            return ()
        return tuple(self._key(line, f"{path}, line {number}") for number, line in _lines(path))

    def _key(self, line: str, place: str) -> ConfiguredKey:
        access_key_id, _, secret = line.partition(" ")
        with _told(place):
            check_access_key_id(access_key_id)
            key = ConfiguredKey(access_key_id, Secret(check_secret(secret.strip()).encode("ascii")), place)
        self._once("access key", access_key_id, place)
        return key

    def _once(self, kind: str, name: str, place: str) -> None:
        if (kind, name) in self._places:
            raise ConfigError(f"{place}: this {kind} stands in {self._places[kind, name]} already")
        self._places[kind, name] = place


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = read_private(path, MAX_KEYS_FILE_BYTES).decode("ascii")
    except NotPrivate as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not ASCII") from None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.replace("\t", " ").strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _read_policy(path: Path) -> str:
    limit = MAX_BYTES[PolicyKind.IDENTITY]
    try:
        with path.open("rb") as file:
            text = file.read(limit + 1).decode("utf-8")
        parse_policy(text, PolicyKind.IDENTITY)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    except PolicyError as error:
        raise ConfigError(f"{path}: this is no policy: {error.message}") from error
    return text


@contextmanager
def _told(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def apply_configured(store: IdentityStore, configured: ConfiguredIdentities, now_us: int) -> Iterator[str]:
    """Make the store what the configuration says, and tell each change once it is made. Twice is once.

    Each step is a transaction: what fails leaves the steps before it done, and the same call goes on from there.
    Raises ConfigError for what contradicts the store, and what the store raises.
    """
    named: set[str] = set()
    for account in configured.accounts:
        yield from _apply_account(store, account, now_us)
        yield from _apply_keys(store, root_principal(account.account_id), account.keys, now_us)
        named |= {key.access_key_id for key in account.keys}
        for user in account.users:
            found = yield from _apply_user(store, account.account_id, user, now_us)
            yield from _apply_keys(store, found.principal, user.keys, now_us)
            named |= {key.access_key_id for key in user.keys}
    if configured.root_keys:
        root = root_principal(store.management_account().account_id)
        yield from _apply_keys(store, root, configured.root_keys, now_us)
        named |= {key.access_key_id for key in configured.root_keys}
    for each in store.disable_configured_access_keys_except(named):
        yield f"access key {each} is disabled: the configuration has it no more"


def _apply_account(store: IdentityStore, wanted: ConfiguredAccount, now_us: int) -> Iterator[str]:
    account_id = wanted.account_id
    try:
        account = store.account(account_id)
    except NoSuchAccount:
        if wanted.name is None:
            raise ConfigError(f"account {account_id} does not exist, and needs a name to be made") from None
        made = Account(account_id, wanted.canonical_id or new_canonical_id(), wanted.name, now_us, wanted.email)
        store.create_account(made)
        yield f"account {account_id} is made"
        return
    if wanted.canonical_id not in {None, account.canonical_id}:
        raise ConfigError(f"account {account_id} has another canonical id than the configuration says, for good")
    as_wanted = replace(account, display_name=wanted.name or account.display_name, email=wanted.email or account.email)
    if as_wanted != account:
        store.update_account(account_id, display_name=as_wanted.display_name, email=as_wanted.email)
        yield f"account {account_id} is given the name or the address that the configuration says"


def _apply_user(
    store: IdentityStore, account_id: str, wanted: ConfiguredUser, now_us: int
) -> Generator[str, None, User]:
    try:
        user = store.user(account_id, wanted.name)
    except NoSuchUser:
        user = User(new_entity_id(EntityKind.USER), account_id, wanted.name, wanted.path, now_us)
        store.create_user(user)
        yield f"user {wanted.name} of account {account_id} is made"
    present = [each for each in store.inline_policies(user) if each.name == POLICY_NAME]
    if wanted.policy is None and present:
        store.delete_inline_policy(user, POLICY_NAME)
        yield f"user {user.name} of account {account_id} loses the policy of the configuration"
    elif wanted.policy is not None and present != [wanted.policy]:
        store.put_inline_policy(user, wanted.policy)
        yield f"user {user.name} of account {account_id} is given the policy of the configuration"
    return user


def _apply_keys(
    store: IdentityStore, principal: Principal, keys: Sequence[ConfiguredKey], now_us: int
) -> Iterator[str]:
    for key in keys:
        try:
            is_changed = store.put_configured_access_key(Credential(key.access_key_id, key.secret, principal), now_us)
        except AccessKeyExists as error:
            raise ConfigError(
                f"{key.place}: access key {key.access_key_id} exists, and was not made by the configuration"
            ) from error
        if is_changed:
            yield f"access key {key.access_key_id} of {principal.arn} is made active"


@contextmanager
def one_at_a_time(lock_path: Path, wait_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Workers start together: each waits for the one before it. Blocks. Raises OSError, TimeoutError after a while."""
    fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(fd, time.monotonic() + wait_seconds)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError("another process does not get done with the configured accounts") from None
            time.sleep(LOCK_PAUSE_SECONDS)  # another process's state: nothing to wait on
        else:
            return
