"""The key service against a simple model of it, through any sequence of calls: keys, aliases, states, grants, tags,
rotation, ciphertexts, and time that passes.

The model knows rules, not order: for each call it says which refusals are right, and the service gives one of them, or
succeeds where there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from iam.principals import Caller, Principal, PrincipalKind
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.service import rotation, states
from kms.service.core import ServiceSettings
from kms.service.service import EmbeddedKeyService
from tests.conformance.key_service import REGION, account_caller
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import Clock, end_sweeps
from tests.kms.stores import opened_store

DAY_US = 86_400_000_000
SETTINGS = ServiceSettings(REGION, sweep_seconds=3600, max_keys=3, max_aliases=2, max_grants=2)
"""Quotas that a few calls reach."""

NAMES = [f"alias/{letter}" for letter in "abc"]
GRANTED = [("Encrypt",), ("Decrypt", "DescribeKey"), ("Encrypt", "RetireGrant"), ("RetireGrant", "Encrypt")]

NOT_FOUND = "NotFoundException"
DENIED = "AccessDeniedException"
DISABLED = "DisabledException"
INVALID_STATE = "KMSInvalidStateException"
LIMIT = "LimitExceededException"


@dataclass(eq=False)
class Key:
    """What the model remembers of a key. `gone`: its deletion window is over."""

    key_id: str
    state: str = "Enabled"
    ends_us: int = 0
    gone: bool = False
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    period_days: int | None = None
    next_us: int | None = None
    version: int = 1

    def refusals(self, *, disabled: str | None = None, pending: str | None = None) -> set[str]:
        """How the key refuses an operation that answers these in those states."""
        if self.gone:
            return {NOT_FOUND}
        by_state = {"Enabled": None, "Disabled": disabled, "PendingDeletion": pending}[self.state]
        return set() if by_state is None else {by_state}

    @property
    def using(self) -> set[str]:
        """How it refuses cryptography."""
        return self.refusals(disabled=DISABLED, pending=INVALID_STATE)

    @property
    def marking(self) -> set[str]:
        """How it refuses aliases, tags and descriptions."""
        return self.refusals(pending=INVALID_STATE)


@dataclass(frozen=True)
class Sealed:
    key: Key
    version: int
    blob: bytes
    plaintext: bytes
    context: dict[str, str]


@dataclass(frozen=True)
class Granted:
    grant_id: str
    token: str
    key: Key
    operations: frozenset[str]
    name: str


@dataclass
class Stage:
    """One service for all sequences, each of which plays in an account of its own."""

    runner: asyncio.Runner
    service: EmbeddedKeyService
    clock: Clock


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory where the system has such a place: thousands of writes, none of which has to survive."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as made:
        yield Path(made)


@pytest.fixture
def stage(directory: Path, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock) -> Iterator[Stage]:
    with asyncio.Runner() as runner, closing(opened_store(directory / "keys.sqlite")) as store:

        async def start() -> EmbeddedKeyService:
            service = EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock)
            await service.start()
            await end_sweeps(service)
            return service

        service = runner.run(start())
        yield Stage(runner, service, clock)
        runner.run(service.close())


class Life(RuleBasedStateMachine):
    keys: Bundle[Key] = Bundle("keys")
    blobs: Bundle[Sealed] = Bundle("blobs")
    grants: Bundle[Granted] = Bundle("grants")

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.owner = account_caller()
        account_id = self.owner.principal.account_id
        principal = Principal(PrincipalKind.USER, account_id, f"arn:aws:iam::{account_id}:user/u", "AIDA0")
        self.user = Caller(principal, "R")
        self.made: list[Key] = []
        self.aliases: dict[str, Key] = {}
        self.granted: dict[str, Granted] = {}

    # Calls

    def ask(self, request: t.Request[Any], caller: Caller | None = None) -> Any:
        """The answer, or the code of the refusal."""
        try:
            return self.stage.runner.run(self.stage.service.call(caller or self.owner, request))
        except KMSError as error:
            return error.code

    def expect(self, refusals: set[str], request: t.Request[Any], caller: Caller | None = None) -> Any:
        """The answer if there is nothing to refuse; None for a refusal, which must be one of these."""
        answer = self.ask(request, caller)
        if not refusals:
            assert not isinstance(answer, str) or answer.startswith("arn:"), (request, answer)
            return answer
        assert answer in refusals, (request, answer, refusals)
        return None

    @property
    def present(self) -> list[Key]:
        return [key for key in self.made if not key.gone]

    def aliases_of(self, key: Key) -> list[str]:
        return sorted(name for name, target in self.aliases.items() if target is key)

    def grants_on(self, key: Key) -> list[Granted]:
        return [grant for grant in self.granted.values() if grant.key is key]

    def user_may(self, key: Key, operation: str) -> bool:
        return any(operation in grant.operations for grant in self.grants_on(key))

    # Keys and states

    @initialize(target=keys)
    def two_keys_are_there(self) -> Any:
        made = [self.create_key(description) for description in ("one", "two")]
        self.create_alias(made[0], NAMES[0])
        return multiple(*made)

    @rule(target=keys, description=st.sampled_from(["", "ä"]))
    def create_key(self, description: str) -> Any:
        refusals = {LIMIT} if len(self.present) >= SETTINGS.max_keys else set()
        answer = self.expect(refusals, t.CreateKey(description=description))
        if answer is None:
            return multiple()
        self.made.append(Key(answer.key_id, description=description))
        return self.made[-1]

    @rule(key=keys)
    def enable_key(self, key: Key) -> None:
        if self.expect(refusals := key.marking, t.EnableKey(key.key_id)) is None and not refusals:
            key.state = "Enabled"

    @rule(key=keys)
    def disable_key(self, key: Key) -> None:
        if self.expect(refusals := key.marking, t.DisableKey(key.key_id)) is None and not refusals:
            key.state = "Disabled"

    @rule(key=keys, days=st.integers(7, 30))
    def schedule_key_deletion(self, key: Key, days: int) -> None:
        answer = self.expect(key.marking, t.ScheduleKeyDeletion(key.key_id, days))
        if answer is not None:
            key.state, key.ends_us = "PendingDeletion", self.stage.clock() + days * DAY_US
            assert answer.deletion_us == key.ends_us

    @rule(key=keys)
    def cancel_key_deletion(self, key: Key) -> None:
        refusals = {NOT_FOUND} if key.gone else set()
        if key.state != "PendingDeletion":
            refusals = {INVALID_STATE}
        if self.expect(refusals, t.CancelKeyDeletion(key.key_id)) is not None:
            key.state = "Disabled"

    @rule(days=st.sampled_from([1, 8, 31, 91, 400]))
    def time_passes(self, days: int) -> None:
        """And what is due is done: the end of keys, and rotation."""
        self.stage.clock.pass_days(days)
        now_us = self.stage.clock()
        for key in self.present:
            if key.state == "PendingDeletion" and key.ends_us <= now_us:
                key.gone = True
            elif key.state == "Enabled" and key.period_days and key.next_us is not None and key.next_us <= now_us:
                key.version += 1
                key.next_us = now_us + key.period_days * DAY_US
        self.aliases = {name: key for name, key in self.aliases.items() if not key.gone}
        self.granted = {grant_id: grant for grant_id, grant in self.granted.items() if not grant.key.gone}
        core = self.stage.service._core
        self.stage.runner.run(states.destroy_expired_keys(core))
        self.stage.runner.run(rotation.rotate_due_keys(core))

    # Aliases

    @rule(key=keys, name=st.sampled_from(NAMES))
    def create_alias(self, key: Key, name: str) -> None:
        refusals = set(key.marking)
        refusals |= {"AlreadyExistsException"} if name in self.aliases else set()
        refusals |= {LIMIT} if len(self.aliases_of(key)) >= SETTINGS.max_aliases else set()
        self.expect(refusals, t.CreateAlias(name, key.key_id))
        if not refusals:
            self.aliases[name] = key

    @rule(key=keys, name=st.sampled_from(NAMES))
    def update_alias(self, key: Key, name: str) -> None:
        refusals, current = set(key.marking), self.aliases.get(name)
        refusals |= {NOT_FOUND} if current is None else set()
        is_full = len(self.aliases_of(key)) >= SETTINGS.max_aliases
        refusals |= {LIMIT} if is_full and current is not key else set()
        self.expect(refusals, t.UpdateAlias(name, key.key_id))
        if not refusals:
            self.aliases[name] = key

    @precondition(lambda self: self.aliases)
    @rule(name=st.sampled_from(NAMES))
    def delete_alias(self, name: str) -> None:
        self.expect(set() if name in self.aliases else {NOT_FOUND}, t.DeleteAlias(name))
        self.aliases.pop(name, None)

    # Ciphertexts

    @rule(target=blobs, key=keys, context=st.dictionaries(st.sampled_from("xy"), st.sampled_from(["", "1"])))
    def encrypt(self, key: Key, context: dict[str, str]) -> Any:
        return self._seal(key, key.key_id, context)

    @precondition(lambda self: self.aliases)
    @rule(target=blobs, name=st.sampled_from(NAMES))
    def encrypt_by_alias(self, name: str) -> Any:
        return self._seal(self.aliases.get(name), name, {})

    def _seal(self, key: Key | None, named: str, context: dict[str, str]) -> Any:
        plaintext = f"by {named}".encode()
        refusals = {NOT_FOUND} if key is None else key.using
        answer = self.expect(refusals, t.Encrypt(named, SecretBytes(plaintext), context))
        if answer is None or key is None:
            return multiple()
        assert (answer.key_arn.rpartition("/")[2], answer.key_version) == (key.key_id, key.version)
        return Sealed(key, key.version, answer.ciphertext_blob, plaintext, context)

    @rule(sealed=blobs, named=st.none() | keys, changes=st.sampled_from([{}, {}, {"z": ""}]))
    def decrypt(self, sealed: Sealed, named: Key | None, changes: dict[str, str]) -> None:
        key = named or sealed.key
        refusals = set(key.using)
        if key is not sealed.key:
            refusals = refusals or {"IncorrectKeyException"}
        elif changes:
            refusals = refusals or {"InvalidCiphertextException"}
        request = t.Decrypt(sealed.blob, None if named is None else named.key_id, {**sealed.context, **changes})
        answer = self.expect(refusals, request)
        if answer is not None:
            assert (answer.plaintext.reveal(), answer.key_version) == (sealed.plaintext, sealed.version)

    @rule(target=blobs, sealed=blobs, key=keys)
    def re_encrypt(self, sealed: Sealed, key: Key) -> Any:
        request = t.ReEncrypt(sealed.blob, key.key_id, source_encryption_context=sealed.context)
        answer = self.expect(sealed.key.using | key.using, request)
        if answer is None:
            return multiple()
        return Sealed(key, key.version, answer.ciphertext.ciphertext_blob, sealed.plaintext, {})

    # Rotation

    @rule(key=keys, days=st.sampled_from([90, 365]))
    def enable_key_rotation(self, key: Key, days: int) -> None:
        refusals = key.using
        self.expect(refusals, t.EnableKeyRotation(key.key_id, days))
        if not refusals:
            key.period_days, key.next_us = days, self.stage.clock() + days * DAY_US

    @rule(key=keys)
    def disable_key_rotation(self, key: Key) -> None:
        refusals = key.using
        self.expect(refusals, t.DisableKeyRotation(key.key_id))
        if not refusals:
            key.period_days = key.next_us = None

    @rule(key=keys)
    def rotate_key_on_demand(self, key: Key) -> None:
        if self.expect(key.using, t.RotateKeyOnDemand(key.key_id)) is not None:
            key.version += 1

    # Tags and descriptions

    @rule(key=keys, name=st.sampled_from("pq"), value=st.sampled_from(["", "1"]))
    def tag_resource(self, key: Key, name: str, value: str) -> None:
        refusals = key.marking
        self.expect(refusals, t.TagResource(key.key_id, (t.Tag(name, value),)))
        if not refusals:
            key.tags[name] = value

    @rule(key=keys, name=st.sampled_from("pq"))
    def untag_resource(self, key: Key, name: str) -> None:
        refusals = key.marking
        self.expect(refusals, t.UntagResource(key.key_id, (name,)))
        if not refusals:
            key.tags.pop(name, None)

    @rule(key=keys, description=st.sampled_from(["", "changed"]))
    def update_key_description(self, key: Key, description: str) -> None:
        refusals = key.marking
        self.expect(refusals, t.UpdateKeyDescription(key.key_id, description))
        if not refusals:
            key.description = description

    # Grants

    @rule(
        target=grants,
        key=keys,
        operations=st.sampled_from(GRANTED),
        name=st.sampled_from(["", "named"]),
    )
    def create_grant(self, key: Key, operations: tuple[str, ...], name: str) -> Any:
        present = self.grants_on(key)
        wanted = (name, frozenset(operations))
        retried = [each for each in present if name and (each.name, each.operations) == wanted]
        refusals = set(key.using)
        refusals |= {LIMIT} if len(present) >= SETTINGS.max_grants and not retried else set()
        answer = self.expect(refusals, t.CreateGrant(key.key_id, self.user.principal.arn, operations, name=name))
        if answer is None:
            return multiple()
        assert (answer.grant_id in self.granted) == bool(retried)
        granted = Granted(answer.grant_id, answer.grant_token, key, frozenset(operations), name)
        self.granted[answer.grant_id] = granted
        return granted

    def _end(self, granted: Granted, refusals: set[str], request: t.Request[Any], caller: Caller) -> None:
        self.expect(refusals, request, caller)
        if not refusals:
            del self.granted[granted.grant_id]

    @rule(granted=grants)
    def revoke_grant(self, granted: Granted) -> None:
        refusals = set() if granted.grant_id in self.granted else {NOT_FOUND}
        self._end(granted, refusals, t.RevokeGrant(granted.key.key_id, granted.grant_id), self.owner)

    @rule(granted=grants, is_user=st.booleans())
    def retire_grant(self, granted: Granted, is_user: bool) -> None:
        refusals = set() if granted.grant_id in self.granted else {"InvalidGrantTokenException"}
        if is_user and not refusals and "RetireGrant" not in granted.operations:
            refusals = {DENIED}
        self._end(granted, refusals, t.RetireGrant(granted.token), self.user if is_user else self.owner)

    @rule(granted=grants)
    def a_grant_is_used(self, granted: Granted) -> None:
        """The token is right for as long as the grant is there."""
        key = granted.key
        request = t.Encrypt(key.key_id, SecretBytes(b"p"), grant_tokens=(granted.token,))
        refusals = self.refusals_for_user(key, "Encrypt")
        if granted.grant_id not in self.granted:
            refusals = {"InvalidGrantTokenException"}
        self.expect(refusals, request, self.user)

    @rule(sealed=blobs)
    def the_user_decrypts(self, sealed: Sealed) -> None:
        refusals = self.refusals_for_user(sealed.key, "Decrypt")
        self.expect(refusals, t.Decrypt(sealed.blob, None, sealed.context), self.user)

    @rule(key=keys)
    def the_user_looks(self, key: Key) -> None:
        refusals = self.refusals_for_user(key, "DescribeKey") - {DISABLED, INVALID_STATE}
        self.expect(refusals, t.DescribeKey(key.key_id), self.user)

    def refusals_for_user(self, key: Key, operation: str) -> set[str]:
        """Whoever may not use a key does not learn its state."""
        return key.using if key.gone or self.user_may(key, operation) else {DENIED}

    # What is always so, and what is looked at now and then and at the end

    @invariant()
    def keys_are_as_the_model_has_them(self) -> None:
        for key in self.made:
            shown = self.expect(key.refusals(), t.DescribeKey(key.key_id))
            if shown is not None:
                assert (shown.state, shown.description) == (key.state, key.description)
                assert shown.deletion_us == (key.ends_us if key.state == "PendingDeletion" else None)

    @rule()
    def everything_is_looked_at(self) -> None:
        for key in self.present:
            self._check_what_belongs_to(key)
        self._check_listings()

    def teardown(self) -> None:
        self.everything_is_looked_at()

    def _check_what_belongs_to(self, key: Key) -> None:
        tags = self.ask(t.ListResourceTags(key.key_id)).tags
        assert [(tag.key, tag.value) for tag in tags] == sorted(key.tags.items())
        status = self.ask(t.GetKeyRotationStatus(key.key_id))
        rotates = (None, None) if key.state == "PendingDeletion" else (key.period_days, key.next_us)
        assert (status.rotation_period_days, status.next_rotation_us) == rotates
        materials = self.ask(t.ListKeyRotations(key.key_id, all_material=True)).materials
        assert [each.state for each in materials] == ["NON_CURRENT"] * (key.version - 1) + ["CURRENT"]
        assert [alias.name for alias in self._pages(t.ListAliases(key.key_id, 1), "aliases")] == self.aliases_of(key)
        grants = self._pages(t.ListGrants(key.key_id, limit=1), "grants")
        assert {grant.grant_id for grant in grants} == {grant.grant_id for grant in self.grants_on(key)}

    def _check_listings(self) -> None:
        keys = self._pages(t.ListKeys(limit=2), "keys")
        assert [entry.key_id for entry in keys] == [key.key_id for key in self.present]
        aliases = self._pages(t.ListAliases(None, 2), "aliases")
        expected = {name: key.key_id for name, key in self.aliases.items()} | {t.S3_KEY_ALIAS: None}
        assert {alias.name: alias.target_key_id for alias in aliases} == expected

    def _pages(self, request: Any, member: str) -> list[Any]:
        """All pages of a listing, joined."""
        found: list[Any] = []
        while True:
            page = self.ask(request)
            found += getattr(page, member)
            if page.next_marker is None:
                return found
            request = replace(request, marker=page.next_marker)


def test_any_sequence_of_calls_is_as_the_model_says(stage: Stage) -> None:
    run_state_machine_as_test(
        lambda: Life(stage),
        settings=settings(
            max_examples=100,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
