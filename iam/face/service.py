"""IAM and STS behind one method: calls run one after the other, in a thread that has a store of its own."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from database.threads import started_threads
from iam.credentials import AccessKeyUse
from iam.face.auditing import CallRecord, ChangeTrail, is_recorded, told_answer, told_parameters
from iam.face.authorisation import Authoriser
from iam.face.call import Call, Document
from iam.face.errors import IAMError
from iam.face.parameters import convert
from iam.face.query import Operation
from iam.face.session_limits import check_session
from iam.face.translate import to_iam_error
from iam.face.web_identities import keys_refused, shown_token
from iam.jose import JSONWebToken, VerificationKey
from iam.key_uses import AccessKeyUses
from iam.oidc_providers import OIDCProvider
from iam.policy.decisions import Decisions
from iam.principals import Caller, PrincipalKind
from iam.session_tokens import SessionTokens
from iam.store.interface import (
    CatchUp,
    IdentityStore,
    IdentityStoreError,
    OutcomeUnknown,
    StoreUnavailable,
    nothing_to_catch_up,
)
from iam.web_identity import KeySource, KeysUnavailable, KeysWrong

_log = logging.getLogger(__name__)

_MISSED = frozenset(
    {
        "AccessDenied",
        "AccountNotFoundException",
        "ChildNotFoundException",
        "CreateAccountStatusNotFoundException",
        "InvalidIdentityToken",
        "NoSuchEntity",
        "TargetNotFoundException",
    }
)
"""What is said of somebody or something that does not exist; of a role that is to be assumed, AccessDenied is."""

MAX_MESSAGE_CHARACTERS = 4096
"""Of a refusal, in the audit trail: some quote what was sent."""


class IdentityService:
    """Answers calls. A commit waits for the disk, which the event loop must not; they are too few to want more threads.

    A call whose caller is gone is finished all the same, and told: what it changes is one transaction.
    """

    def __init__(
        self,
        open_store: Callable[[], IdentityStore],
        uses: AccessKeyUses,
        tokens: SessionTokens,
        trail: ChangeTrail | None = None,
        provider_keys: KeySource | None = None,
        *,
        catch_up: CatchUp = nothing_to_catch_up,
    ) -> None:
        """`open_store` is called in the thread, at the first call. It raises StoreUnavailable.

        `uses` are the access keys that this process saw used; `tokens` makes session tokens; `trail` is told what is
        changed; `provider_keys` has the keys of identity providers (without it none can be had); `catch_up` brings here
        what other nodes changed.
        """
        self._provider_keys = provider_keys
        self._catch_up = catch_up
        self._trail = trail
        self._under_way: set[asyncio.Task[Document | None]] = set()
        self._open_store = open_store
        self._uses = uses
        self._tokens = tokens
        self._store: IdentityStore | None = None
        self._authoriser = Authoriser()
        self._thread = started_threads(1, "identities")

    async def call(
        self, caller: Caller, operation: Operation, parameters: Mapping[str, str], decisions: Decisions | None = None
    ) -> Document | None:
        """The answer to one request; notes in `decisions` what was decided. Raises IAMError, and StoreUnavailable."""
        noted = Decisions() if decisions is None else decisions
        trail = self._trail
        if trail is None or not is_recorded(operation.model.name, operation.name):
            return await self._in_thread(caller, operation, parameters, noted)
        return await self._to_the_end(self._told(trail, caller, operation, parameters, noted))

    async def _in_thread(
        self, caller: Caller, operation: Operation, parameters: Mapping[str, str], decisions: Decisions
    ) -> Document | None:
        """What is not found is looked for once more if other nodes may have made it."""
        try:
            return await self._attempt(caller, operation, parameters, decisions)
        except IAMError as error:
            if error.code not in _MISSED or not await self._catch_up():
                raise
        decisions.forget()
        return await self._attempt(caller, operation, parameters, decisions)

    async def _attempt(
        self, caller: Caller, operation: Operation, parameters: Mapping[str, str], decisions: Decisions
    ) -> Document | None:
        keys = await self._keys_for(operation, parameters) if operation.is_unsigned else ()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answer, caller, operation, parameters, decisions, keys)

    async def _keys_for(self, operation: Operation, parameters: Mapping[str, str]) -> tuple[VerificationKey, ...]:
        """The keys of the identity provider whose token is shown: to be waited for, but not in the thread.

        Raises IAMError.
        """
        loop = asyncio.get_running_loop()
        token, provider = await loop.run_in_executor(self._thread, self._shown_token, operation, parameters)
        try:
            if self._provider_keys is None:
                raise KeysUnavailable("there is no source of keys")
            return await self._provider_keys.keys(provider.url, token.key_id)
        except (KeysUnavailable, KeysWrong) as error:
            _log.warning("the keys of the identity provider %s: %s", provider.url, error)
            raise keys_refused(error) from error

    def _shown_token(self, operation: Operation, parameters: Mapping[str, str]) -> tuple[JSONWebToken, OIDCProvider]:
        return shown_token(operation.request(parameters), self._opened_store())

    async def _to_the_end(self, work: Coroutine[None, None, Document | None]) -> Document | None:
        """The result of `work`, which is done to its end also if nobody waits for it any more."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Document | None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, should nobody wait for it

    async def _told(
        self,
        trail: ChangeTrail,
        caller: Caller,
        operation: Operation,
        parameters: Mapping[str, str],
        decisions: Decisions,
    ) -> Document | None:
        """Nothing is done that could not be told, and nothing is answered that was not.

        But for who brought no credentials, and no token that was verified: nobody would be named, as of a signature
        that was refused, and anybody could fill the trail.
        """
        await trail.require(caller)
        record = CallRecord(
            f"{operation.model.name}.amazonaws.com", operation.name, _told_parameters(operation, parameters)
        )
        try:
            answer = await self._in_thread(caller, operation, parameters, decisions)
        except IAMError as error:
            message = error.message[:MAX_MESSAGE_CHARACTERS]
            refused = replace(record, decided=decisions.told, error_code=error.code, error_message=message)
            if caller.principal.kind is not PrincipalKind.ANONYMOUS or decisions.principal is not None:
                await trail.record(_named(caller, decisions), refused)
            raise
        except OutcomeUnknown:
            await trail.record(_named(caller, decisions), _unknown(replace(record, decided=decisions.told)))
            raise
        told = replace(record, answer=told_answer(answer), decided=decisions.told)
        await trail.record(_named(caller, decisions), told)
        return answer

    def _answer(
        self,
        caller: Caller,
        operation: Operation,
        parameters: Mapping[str, str],
        decisions: Decisions,
        keys: tuple[VerificationKey, ...],
    ) -> Document | None:
        check_session(caller, operation.model.name, operation.name)
        request = operation.request(parameters)
        call = Call(
            caller,
            request,
            self._opened_store(),
            self._authoriser,
            self._uses,
            self._tokens,
            datetime.now(UTC),
            decisions,
            keys,
        )
        try:
            return operation.handler(call)
        except StoreUnavailable:
            raise
        except IdentityStoreError as error:
            raise to_iam_error(error) from error

    def _opened_store(self) -> IdentityStore:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    async def put_account_block(self, caller: Caller, settings: frozenset[str] | None) -> None:
        """Of the caller's account: see `IdentityStore.set_account_public_access_block`.

        Raises NoSuchAccount, StoreUnavailable.
        """
        await self._to_the_end(self._put_block(caller, settings))

    async def _put_block(self, caller: Caller, settings: frozenset[str] | None) -> None:
        if self._trail is not None:
            await self._trail.require(caller)
        loop = asyncio.get_running_loop()
        account_id = caller.principal.account_id
        name = "DeleteAccountPublicAccessBlock" if settings is None else "PutAccountPublicAccessBlock"
        told = json.dumps({"accountId": account_id, **({} if settings is None else {"settings": sorted(settings)})})
        record = CallRecord("s3.amazonaws.com", name, told)
        try:
            await loop.run_in_executor(self._thread, self._put_account_block, account_id, settings)
        except OutcomeUnknown:
            if self._trail is not None:
                await self._trail.record(caller, _unknown(record))
            raise
        if self._trail is not None:
            await self._trail.record(caller, record)

    def _put_account_block(self, account_id: str, settings: frozenset[str] | None) -> None:
        self._opened_store().set_account_public_access_block(account_id, settings)

    async def write_uses(self) -> None:
        """Write down which access keys were used since the last time. Raises StoreUnavailable; those are lost then."""
        uses = self._uses.take()
        if uses:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write_uses, uses)

    def _write_uses(self, uses: list[AccessKeyUse]) -> None:
        self._opened_store().note_access_key_uses(uses)

    async def close(self) -> None:
        """After the calls that are under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()


def _unknown(record: CallRecord) -> CallRecord:
    """What is told of a change that the database may have made: no change is without its line."""
    return replace(record, error_code="ServiceUnavailable", error_message="It is not known whether this was done.")


def _named(caller: Caller, decisions: Decisions) -> Caller:
    """Who it was that was decided about."""
    return caller if decisions.principal is None else replace(caller, principal=decisions.principal)


def _told_parameters(operation: Operation, parameters: Mapping[str, str]) -> str:
    """What cannot be read is refused, and told without its parameters."""
    model = operation.model
    name = model.inputs[operation.name]
    try:
        return told_parameters(convert(parameters, name, model), model.shapes[name], model)
    except IAMError:
        return "{}"
