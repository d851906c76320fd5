"""AccessControlPolicy: the ACL of a bucket or an object (API_GetBucketAcl, API_PutBucketAcl, …)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.protocol.acl import GROUPS, MAX_GRANTS, Grant, Grants, Permission, checked_group, unresolvable_email
from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.objects import owner_element
from gateway.protocol.xml.reader import Element, children, malformed, read_document, text_of, texts
from gateway.protocol.xml.writer import document, element

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_KINDS = {
    "CanonicalUser": ("ID", frozenset({"ID", "DisplayName"})),
    "Group": ("URI", frozenset({"URI"})),
    "AmazonCustomerByEmail": ("EmailAddress", frozenset({"EmailAddress"})),
}
"""By xsi:type: the member that names the grantee, and all that may stand there."""


@dataclass(frozen=True, slots=True)
class GivenPolicy:
    """What a client sent: whom it takes for the owner, and grants whose grantees were not looked up yet."""

    owner_id: str
    grants: Grants

    @classmethod
    def parse(cls, body: bytes) -> GivenPolicy:
        """Raises S3Error MalformedACLError, InvalidArgument (a group), UnresolvableGrantByEmailAddress."""
        try:
            return cls._parse(body)
        except S3Error as error:
            if error.code == "MalformedXML":
                raise S3Error("MalformedACLError") from None
            raise

    @classmethod
    def _parse(cls, body: bytes) -> GivenPolicy:
        members: dict[str, Element] = {}
        root = read_document(body, "AccessControlPolicy", max_elements=16 + 8 * MAX_GRANTS)
        for name, member in children(root):
            if name in members or name not in {"Owner", "AccessControlList"}:
                raise malformed()
            members[name] = member
        if len(members) != 2:
            raise malformed()
        grants = tuple(_grant(name, child) for name, child in children(members["AccessControlList"]))
        if len(grants) > MAX_GRANTS:
            raise malformed()
        return cls(texts(members["Owner"], ("ID", "DisplayName"), ("ID",))["ID"].strip(), grants)


def _grant(name: str, child: Element) -> Grant:
    members = dict(children(child))
    if name != "Grant" or set(members) != {"Grantee", "Permission"} or len(child) != 2:
        raise malformed()
    try:
        permission = Permission(text_of(members["Permission"]).strip())
    except ValueError:
        raise malformed() from None
    return Grant(_grantee(members["Grantee"]), permission)


def _grantee(grantee: Element) -> str:
    kind = _KINDS.get(grantee.get(f"{{{_XSI}}}type", ""))
    if kind is None:
        raise malformed()
    name, allowed = kind
    value = texts(grantee, allowed, (name,))[name].strip()
    if name == "EmailAddress":
        raise unresolvable_email(value)
    return checked_group(value) if name == "URI" else value


@dataclass(frozen=True, slots=True)
class AccessControlPolicy:
    """`grants` are each with the display name of its grantee, None for a group or where there is none."""

    owner_id: str
    owner_display_name: str
    grants: Sequence[tuple[Grant, str | None]]

    def format(self) -> bytes:
        return document(
            "AccessControlPolicy",
            (
                owner_element(self.owner_id, self.owner_display_name),
                "<AccessControlList>",
                *(_formatted(grant, display_name) for grant, display_name in self.grants),
                "</AccessControlList>",
            ),
        )


def _formatted(grant: Grant, display_name: str | None) -> str:
    if grant.grantee in GROUPS:
        kind, content = "Group", element("URI", grant.grantee)
    else:
        kind, content = "CanonicalUser", element("ID", grant.grantee) + element("DisplayName", display_name)
    grantee = f'<Grantee xmlns:xsi="{_XSI}" xsi:type="{kind}">{content}</Grantee>'
    return f"<Grant>{grantee}{element('Permission', grant.permission)}</Grant>"
