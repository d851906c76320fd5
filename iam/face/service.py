"""IAM and STS behind one method: calls run one after the other, in a thread that has a store of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from iam.credentials import AccessKeyUse
from iam.face.authorisation import Authoriser
from iam.face.call import Call, Document
from iam.face.query import Operation
from iam.face.session_limits import check_session
from iam.face.translate import to_iam_error
from iam.key_uses import AccessKeyUses
from iam.policy.decisions import Decisions
from iam.principals import Caller
from iam.session_tokens import SessionTokens
from iam.store.interface import IdentityStore, IdentityStoreError, StoreUnavailable


class IdentityService:
    """Answers calls. A commit waits for the disk, which the event loop must not; they are too few to want more threads.

    A call whose caller is gone is finished all the same: what it changes is one transaction.
    """

    def __init__(self, open_store: Callable[[], IdentityStore], uses: AccessKeyUses, tokens: SessionTokens) -> None:
        """`open_store` is called in the thread, at the first call. It raises StoreUnavailable.

        `uses` are the access keys that this process saw used; `tokens` makes session tokens.
        """
        self._open_store = open_store
        self._uses = uses
        self._tokens = tokens
        self._store: IdentityStore | None = None
        self._authoriser = Authoriser()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="identities")

    async def call(
        self, caller: Caller, operation: Operation, parameters: Mapping[str, str], decisions: Decisions | None = None
    ) -> Document | None:
        """The answer to one request; notes in `decisions` what was decided. Raises IAMError, and StoreUnavailable."""
        loop = asyncio.get_running_loop()
        noted = Decisions() if decisions is None else decisions
        return await loop.run_in_executor(self._thread, self._answer, caller, operation, parameters, noted)

    def _answer(
        self, caller: Caller, operation: Operation, parameters: Mapping[str, str], decisions: Decisions
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

    async def put_account_block(self, account_id: str, settings: frozenset[str] | None) -> None:
        """See `IdentityStore.set_account_public_access_block`. Raises NoSuchAccount, StoreUnavailable."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._put_account_block, account_id, settings)

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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
