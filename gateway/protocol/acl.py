"""Access control lists as S3's headers and canned names say them.

S3 User Guide, "Access control list (ACL) overview" and "Canned ACL". Who a grantee is, is left to the operations: here
it is a canonical user id or the URI of a group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.protocol.errors import S3Error, invalid_argument
from iam.quickly_made import quickly_made

MAX_GRANTS = 100
"""Of one ACL (User Guide, "Access control list (ACL) overview")."""

HEADER = "x-amz-acl"
GRANT_PREFIX = "x-amz-grant-"


class Permission(StrEnum):
    """In the order in which grants of headers are told."""

    READ = "READ"
    WRITE = "WRITE"
    READ_ACP = "READ_ACP"
    WRITE_ACP = "WRITE_ACP"
    FULL_CONTROL = "FULL_CONTROL"


class Group(StrEnum):
    """The predefined groups, by their URIs."""

    ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
    AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
    LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"


PUBLIC = frozenset({Group.ALL_USERS.value, Group.AUTHENTICATED_USERS.value})
"""Whoever grants these anything, grants it to the public ("Blocking public access", 'The meaning of "public"')."""

GROUPS = frozenset(group.value for group in Group)

ANONYMOUS_ID = "65a011a29cdf8ec533ec3d1ccaae921c"
"""The canonical id of whoever sent a request that nobody signed."""

EC2_ID = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"
"""The canonical id of Amazon EC2, which aws-exec-read lets read."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`grantee` is a canonical user id or a group's URI; kept in sealed documents under these names."""

    grantee: str
    permission: Permission


Grants = tuple[Grant, ...]


def is_public(grants: Iterable[Grant]) -> bool:
    return any(grant.grantee in PUBLIC for grant in grants)


def without_public(grants: Iterable[Grant]) -> Grants:
    return tuple(grant for grant in grants if grant.grantee not in PUBLIC)


# Canned ACLs

PRIVATE = "private"
BUCKET_OWNER_FULL_CONTROL = "bucket-owner-full-control"

_PUBLIC_CANNED: dict[str, tuple[tuple[str, Permission], ...]] = {
    PRIVATE: (),
    "public-read": ((Group.ALL_USERS, Permission.READ),),
    "public-read-write": ((Group.ALL_USERS, Permission.READ), (Group.ALL_USERS, Permission.WRITE)),
    "authenticated-read": ((Group.AUTHENTICATED_USERS, Permission.READ),),
    "aws-exec-read": ((EC2_ID, Permission.READ),),
}
_OF_BUCKETS = {
    "log-delivery-write": ((Group.LOG_DELIVERY, Permission.WRITE), (Group.LOG_DELIVERY, Permission.READ_ACP)),
}
_OF_OBJECTS = {"bucket-owner-read": Permission.READ, BUCKET_OWNER_FULL_CONTROL: Permission.FULL_CONTROL}
CANNED = frozenset({*_PUBLIC_CANNED, *_OF_BUCKETS, *_OF_OBJECTS})


def private(owner_id: str) -> Grants:
    """What holds where nobody said anything."""
    return (Grant(owner_id, Permission.FULL_CONTROL),)


def canned_bucket_acl(name: str, owner_id: str) -> Grants:
    """What is canned for objects alone is `private` for a bucket, as the guide has it for the creation of one."""
    extra = {**_PUBLIC_CANNED, **_OF_BUCKETS}.get(name, ())
    return private(owner_id) + tuple(Grant(str(grantee), permission) for grantee, permission in extra)


def canned_object_acl(name: str, owner_id: str, bucket_owner_id: str) -> Grants:
    """Raises S3Error InvalidArgument for what is canned for buckets alone."""
    if name in _OF_OBJECTS:
        if owner_id == bucket_owner_id:
            return private(owner_id)
        return (*private(owner_id), Grant(bucket_owner_id, _OF_OBJECTS[name]))
    if name not in _PUBLIC_CANNED:
        raise invalid_argument(HEADER, name)
    return private(owner_id) + tuple(Grant(str(grantee), permission) for grantee, permission in _PUBLIC_CANNED[name])


# Headers

_HEADER_PERMISSIONS = {
    f"{GRANT_PREFIX}read": Permission.READ,
    f"{GRANT_PREFIX}write": Permission.WRITE,
    f"{GRANT_PREFIX}read-acp": Permission.READ_ACP,
    f"{GRANT_PREFIX}write-acp": Permission.WRITE_ACP,
    f"{GRANT_PREFIX}full-control": Permission.FULL_CONTROL,
}
_GRANTEE = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*(?:"([^"]*)"|([^",\s]+))\s*', re.IGNORECASE)


@quickly_made
@dataclass(frozen=True, slots=True)
class RequestedACL:
    """What the headers of a request ask for: a canned name, or grants whose grantees were not looked up yet."""

    canned: str | None = None
    grants: Grants = ()

    @property
    def is_absent(self) -> bool:
        return self.canned is None and not self.grants

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> RequestedACL:
        """Raises S3Error InvalidArgument, InvalidRequest (both kinds), UnresolvableGrantByEmailAddress."""
        canned = headers.get(HEADER)
        if canned is not None and canned not in CANNED:
            raise invalid_argument(HEADER, canned)
        grants = tuple(
            Grant(grantee, permission)
            for name, permission in _HEADER_PERMISSIONS.items()
            if name in headers
            for grantee in _grantees(name, headers[name])
        )
        if canned is not None and grants:
            raise S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
        if len(grants) > MAX_GRANTS:
            raise S3Error("InvalidRequest", f"The request has more than {MAX_GRANTS} grants.")
        return cls(canned, grants)


def _grantees(name: str, value: str) -> list[str]:
    """`id="…", uri="…", emailAddress="…"`, with or without quotes."""
    grantees = []
    end = 0
    while end < len(value):
        found = _GRANTEE.match(value, end)
        if found is None or (found.end() < len(value) and value[found.end()] != ","):
            raise invalid_argument(name, value, "Argument format not recognized")
        grantees.append(_grantee(found[1].lower(), found[2] if found[2] is not None else found[3]))
        end = found.end() + 1
    if not grantees or value.rstrip().endswith(","):
        raise invalid_argument(name, value, "Argument format not recognized")
    return grantees


def _grantee(kind: str, value: str) -> str:
    if kind == "emailaddress":
        raise unresolvable_email(value)
    return checked_group(value) if kind == "uri" else value


def checked_group(uri: str) -> str:
    """Raises S3Error InvalidArgument for what is no predefined group."""
    if uri not in GROUPS:
        raise invalid_argument("Group/URI", uri, "Invalid group uri")
    return uri


def unresolvable_email(address: str) -> S3Error:
    """Accounts have no addresses here, so that none is on record."""
    return S3Error("UnresolvableGrantByEmailAddress", fields={"Email": address[:256]})
