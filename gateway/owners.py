"""Who accounts and principals are to S3: names and canonical ids, from the identities."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable

from gateway.operations.context import Owner
from gateway.protocol.acl import ANONYMOUS_ID, EC2_ID
from iam.store.interface import IdentityStore, NoSuchAccount

OWNER_SECONDS = 1.0
"""How long what an account is called is not asked again."""

ANONYMOUS_OWNER = Owner(ANONYMOUS_ID, "anonymous")


def owners(identities: IdentityStore) -> Callable[[str], Owner]:
    """How accounts are named in S3's XML. A listing asks for each of its entries, so that answers are kept for a
    moment: an account's canonical id never changes, and its name decides nothing."""
    known: dict[str, tuple[float, Owner]] = {}

    def owner_of(account_id: str) -> Owner:
        if not account_id:
            return ANONYMOUS_OWNER
        now = time.monotonic()
        until, owner = known.get(account_id, (now, None))
        if owner is not None and now < until:
            return owner
        try:
            account = identities.account(account_id)
        except NoSuchAccount:
            return Owner(account_id, account_id)
        owner = Owner(account.canonical_id, account.display_name)
        known[account_id] = now + OWNER_SECONDS, owner
        return owner

    return owner_of


def could_be_principal(identities: IdentityStore) -> Callable[[str], bool]:
    """Whether a name under "AWS" could be somebody: whoever is of an account of this installation must be there."""

    def could_be(name: str) -> bool:
        found = re.fullmatch(r"(?:arn:[^:]*:[^:]*::)?([0-9]{12})(?::.*)?", name)
        if found is not None:
            try:
                identities.account(found[1])
            except NoSuchAccount:
                return True  # of another installation, whose objects and policies may move here
        return identities.principal_exists(name)

    return could_be


def owners_by_id(identities: IdentityStore) -> Callable[[str], Owner | None]:
    """The same by canonical user id; ids that are nobody's are not remembered."""
    account_ids: dict[str, str] = {}
    fixed = {ANONYMOUS_ID: ANONYMOUS_OWNER, EC2_ID: Owner(EC2_ID, "za-team")}
    owner_of = owners(identities)

    def owner_by_id(canonical_id: str) -> Owner | None:
        if canonical_id in fixed:
            return fixed[canonical_id]
        if canonical_id not in account_ids:
            with contextlib.suppress(NoSuchAccount):
                account_ids[canonical_id] = identities.account_by_canonical_id(canonical_id).account_id
        account_id = account_ids.get(canonical_id)
        return None if account_id is None else owner_of(account_id)

    return owner_by_id
