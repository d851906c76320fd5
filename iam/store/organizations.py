"""Accounts that Organizations makes, in the identity database: a part of `SQLiteIdentityStore`."""

from __future__ import annotations

from abc import abstractmethod

from iam.credentials import Account
from iam.entities import Role
from iam.organizations import MAX_ACCOUNTS, MAX_FAILED_REQUESTS, AccountRequest, Failure
from iam.store.accounts import SQLiteAccounts
from iam.store.interface import NoSuchAccountRequest, TooManyAccounts


class SQLiteOrganizations(SQLiteAccounts):
    """See `IdentityStore` for what the methods promise."""

    @abstractmethod
    def _insert_role(self, role: Role) -> None:
        """See `IdentityStore.create_role`. In a transaction of the caller's."""

    def create_member_account(self, request: AccountRequest, account: Account, role: Role, policy_arn: str) -> None:
        with self._changing():
            (count,) = self._connection.execute("SELECT count(*) FROM account").fetchone()
            if count >= MAX_ACCOUNTS:
                raise TooManyAccounts(f"there are at most {MAX_ACCOUNTS} accounts")
            self._insert_account(account)
            self._insert_role(role)
            self._connection.execute(
                "INSERT INTO attachment (entity_id, policy_arn) VALUES (?, ?)", (role.role_id, policy_arn)
            )
            self._insert_request(request)
        self._forget()

    def note_failed_account_request(self, request: AccountRequest) -> None:
        with self._changing():
            self._insert_request(request)
            self._connection.execute(
                "DELETE FROM account_request WHERE failure IS NOT NULL AND request_id NOT IN (SELECT request_id"
                " FROM account_request WHERE failure IS NOT NULL ORDER BY requested_us DESC LIMIT ?)",
                (MAX_FAILED_REQUESTS,),
            )

    def _insert_request(self, request: AccountRequest) -> None:
        self._connection.execute(
            "INSERT INTO account_request (request_id, account_name, requested_us, account_id, failure)"
            " VALUES (?, ?, ?, ?, ?)",
            (request.request_id, request.account_name, request.requested_us, request.account_id, request.failure),
        )

    def account_request(self, request_id: str) -> AccountRequest:
        with self._reading():
            row = self._connection.execute(
                "SELECT request_id, account_name, requested_us, account_id, failure FROM intact_account_request"
                " WHERE request_id = ?",
                (request_id,),
            ).fetchone()
        if row is None:
            raise NoSuchAccountRequest(f"there is no request {request_id[:80]!r}", request_id)
        request_id, account_name, requested_us, account_id, failure = row
        reason = None if failure is None else Failure(failure)
        return AccountRequest(request_id, account_name, requested_us, account_id, reason)
