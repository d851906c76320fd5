"""What the caller of one S3 request may do: its own policies and those of the buckets that the request touches.

A bucket is introduced by its row (`Permissions.introduce`) before anything in it can be asked for: who owns it, and
the policy that its owner gave it, decide together with the caller's policies. Sources: IAM User Guide, "Policy
evaluation logic"; S3 User Guide, "How Amazon S3 authorizes a request".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gateway.operations.acl_policy import bucket_acl_policy, object_acl_policy
from gateway.operations.condition_keys import ASKED_FOR_EXISTING_TAGS, existing_tags, requested_tags
from gateway.operations.documents import BucketDocument
from gateway.protocol.acl import Grants, without_public
from gateway.protocol.addressing import Address
from gateway.protocol.errors import S3Error
from gateway.protocol.public_access import NOTHING_BLOCKED, PublicAccessBlock
from gateway.protocol.query import Query
from gateway.storage.index.records import BucketRow
from iam.policy.bucket import OBJECT_ACTIONS
from iam.policy.cache import PolicyCache
from iam.policy.decisions import Decisions
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import AccessRequest, Decision, Layer, NamedPolicy, Outcome, PoliciesInForce, evaluate
from iam.policy.public import is_public
from iam.policy.variables import Context
from iam.principals import NO_POLICIES, Caller, PrincipalKind
from iam.quickly_made import quickly_made

ALL_RESOURCES_ARN = "arn:aws:s3:::*"
"""What an operation of no bucket (ListBuckets) is decided about."""

ARN_PREFIX = "arn:aws:s3:::"

_OF_A_VERSION = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
}

_ALWAYS_OF_ROOT = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
"""What no policy takes from the root user of the bucket's account, so that a bucket can be saved from its own policy
(API_PutBucketPolicy)."""


def action_on(action: str, *, is_version_named: bool) -> str:
    """The action that reading or deleting needs: another one where the request names a version."""
    return _OF_A_VERSION.get(action, action) if is_version_named else action


_ASKED_FOR_EXISTING_TAGS = ASKED_FOR_EXISTING_TAGS | {
    action_on(action, is_version_named=True) for action in ASKED_FOR_EXISTING_TAGS
}


@dataclass(frozen=True, slots=True)
class ObjectTags:
    """Tags that an action is about: those that the object has, and those that a document sets."""

    existing: Mapping[str, str] = field(default_factory=dict)
    requested: Mapping[str, str] = field(default_factory=dict)

    def condition_keys(self, action: str) -> Context:
        """What `action` knows of them."""
        existing = existing_tags(self.existing) if action in _ASKED_FOR_EXISTING_TAGS else {}
        return {**existing, **requested_tags(self.requested)}


def the_buckets(_setting: str) -> str:
    """Whose public access block it is where only the bucket has one."""
    return "the bucket"


@quickly_made
@dataclass(frozen=True, slots=True)
class _Bucket:
    """What decides about a bucket besides the caller's policies."""

    account_id: str
    policy: str | None
    block: PublicAccessBlock
    grants: Grants | None = None
    """Those of the bucket's ACL that count; None where ACLs are disabled."""
    has_ignored_grants: bool = False
    """IgnorePublicAcls took some from it."""
    whose_block: Callable[[str], str] = the_buckets
    """Who has a setting of the block on, for decisions."""


@dataclass(frozen=True, slots=True)
class _Object:
    """Who decides about some actions on an object, in place of the bucket's owner: the account that owns it."""

    account_id: str
    grants: Grants
    actions: frozenset[str]
    has_ignored_grants: bool = False


BY_OBJECT_OWNER = OBJECT_ACTIONS - {
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
}
"""What the owner of an object decides where ACLs are enabled; writing and deleting remain the bucket's owner's (User
Guide, "How Amazon S3 authorizes a request for an object operation")."""

OF_UPLOADS = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
"""What the account that began an upload may do to it as the bucket's owner may (User Guide, "Multipart upload API and
permissions")."""


_NO_CONTEXT: Context = {}


class Permissions:
    """Asked for each resource of one request, before it is touched."""

    __slots__ = (
        "_buckets",
        "_caller",
        "_canonical_id",
        "_conditions",
        "_decisions",
        "_objects",
        "_own",
        "_policies",
    )

    def __init__(
        self,
        caller: Caller,
        conditions: Callable[[Context], Context],
        policies: PolicyCache,
        canonical_id: Callable[[str], str],
        decisions: Decisions | None = None,
    ) -> None:
        """`conditions` makes the context of one decision of what is known of it besides the request, and only where
        there is a policy that could ask; `canonical_id` gives that of an account. What is required is noted in
        `decisions`."""
        self._caller = caller
        self._decisions = Decisions() if decisions is None else decisions
        self._conditions = conditions
        self._own: PoliciesInForce | None = None
        self._policies = policies
        self._canonical_id = canonical_id
        self._buckets: dict[str, _Bucket] = {}
        self._objects: dict[str, _Object] = {}

    def introduce(
        self,
        row: BucketRow,
        document: BucketDocument,
        block: PublicAccessBlock,
        whose_block: Callable[[str], str] = the_buckets,
    ) -> None:
        """From here on it can be decided about the bucket and what is in it. `document` is the row's, opened; `block`
        is what is in force, and `whose_block` tells who has a setting of it on."""
        grants: Grants | None = None
        has_ignored = False
        if document.has_acls:
            grants = _effective(document.grants or (), block)
            has_ignored = len(grants) < len(document.grants or ())
        self._buckets[row.name] = _Bucket(row.account_id, document.policy, block, grants, has_ignored, whose_block)

    def introduce_object(self, resource_arn: str, account_id: str, grants: Grants) -> None:
        """Where ACLs are enabled: from here on the object's owner decides, with its ACL. The bucket was introduced."""
        block = self._bucket(resource_arn).block
        effective = _effective(grants, block)
        has_ignored = len(effective) < len(grants)
        self._objects[resource_arn] = _Object(account_id, effective, BY_OBJECT_OWNER, has_ignored)

    def introduce_upload(self, resource_arn: str, account_id: str) -> None:
        """From here on who began the upload decides about it."""
        self._objects[resource_arn] = _Object(account_id, (), OF_UPLOADS)

    def refuse_denied(self, action: str, resource_arn: str) -> None:
        """Refuse what is denied outright, whosever the object is. Raises as `require`."""
        bucket = self._bucket(resource_arn)
        decision = self._decide(action, resource_arn, bucket)
        if decision.outcome is Outcome.EXPLICIT_DENY:
            self._decisions.note(action, resource_arn, decision)
            raise self._refusal(action, resource_arn, bucket.account_id, decision)

    def are_unlimited(self, bucket: str) -> bool:
        """Whether nothing can keep the caller from anything in the bucket: the common case, which is spared the work.

        It is the root user of the bucket's account, where neither a policy nor an ACL counts.
        """
        known, principal = self._buckets[bucket], self._caller.principal
        if principal.kind is not PrincipalKind.ROOT or principal.account_id != known.account_id:
            return False
        return known.grants is None and self._has_no_policy(known)

    def note_unlimited(self, action: str, address: Address, query: Query) -> None:
        """That `are_unlimited` was said, and nothing had to be decided."""
        self._decisions.note(
            action_on(action, is_version_named=query.has("versionId")), resource_arn(address), _ROOT_USER
        )

    def ask_about(self, prefix: str, bucket: str) -> bool:
        """Whether a policy in force for the bucket asks for a condition key that begins with `prefix`.

        What costs something to find out is found out only then. A policy that cannot be read asks nothing: it denies.
        """
        decides, own = self._buckets[bucket], self._caller.policies
        if self._has_no_policy(decides):
            return False
        texts = [
            (each.text, PolicyKind.IDENTITY) for each in (*own.identity, own.boundary, *(own.session or ())) if each
        ]
        if decides.policy is not None:
            texts.append((decides.policy, PolicyKind.BUCKET))
        try:
            return any(self._policies.policy(*text).asks_about(prefix) for text in texts)
        except PolicyError:
            return False

    def require(
        self,
        action: str,
        resource_arn: str,
        *,
        if_match: str | None = None,
        tags: ObjectTags | None = None,
        more: Context = _NO_CONTEXT,
    ) -> None:
        """The right to do `action` to a bucket that was introduced, or to an object in it.

        `if_match` is a condition of the request that did not come as its header, `tags` are those in question, `more`
        is known of this action besides. Raises S3Error AccessDenied, in AWS's words.
        """
        bucket = self._bucket(resource_arn)
        decision = self._decide(action, resource_arn, bucket, {**_of_action(action, if_match, tags), **more})
        self._decisions.note(action, resource_arn, decision)
        if not decision.is_allowed:
            raise self._refusal(action, resource_arn, bucket.account_id, decision)

    def require_of_account(self, action: str, resource_arn: str, more: Context = _NO_CONTEXT) -> None:
        """The right to do `action` in the caller's own account, to what is in no bucket yet.

        `more` is known of this action besides what is of the request. Raises as `require`.
        """
        account_id = self._caller.principal.account_id
        own = _Bucket(account_id, None, NOTHING_BLOCKED)
        decision = self._decide(action, resource_arn, own, more)
        self._decisions.note(action, resource_arn, decision)
        if not decision.is_allowed:
            raise self._refusal(action, resource_arn, account_id, decision)

    def allows(self, action: str, resource_arn: str, *, tags: ObjectTags | None = None) -> bool:
        more = _of_action(action, None, tags)
        return self._decide(action, resource_arn, self._bucket(resource_arn), more).is_allowed

    def allows_under(self, policy: str, action: str, resource_arn: str) -> bool:
        """Whether it would be allowed if this were the bucket's policy."""
        bucket = self._bucket(resource_arn)
        return self._decide(action, resource_arn, replace(bucket, policy=policy)).is_allowed

    def require_at(
        self,
        action: str,
        address: Address,
        query: Query,
        tags: ObjectTags | None = None,
        more: Context = _NO_CONTEXT,
    ) -> None:
        """What an operation's row asks for at the request's address; what else it touches, its handler asks for.

        Raises S3Error AccessDenied.
        """
        arn = resource_arn(address)
        is_version_named = query.has("versionId")
        self.require(action_on(action, is_version_named=is_version_named), arn, tags=tags, more=more)
        if action == "s3:GetObjectAttributes":  # API_GetObjectAttributes, "Permissions": both are needed
            self.require(action_on("s3:GetObject", is_version_named=is_version_named), arn, tags=tags)

    def conceal(self, error: S3Error, bucket: str, key: str) -> S3Error:
        """What a missing key is to a caller who may not list it: forbidden, and told so as any right that is missing.

        API_GetObject: 404 with s3:ListBucket, else 403. Who may list a prefix alone is told of what is under it.
        """
        if error.code not in {"NoSuchKey", "NoSuchVersion"}:
            return error
        action, arn = "s3:ListBucket", ARN_PREFIX + bucket
        decides = self._bucket(arn)
        decision = self._decide(action, arn, decides, {"s3:prefix": (key,)})
        if decision.is_allowed:
            return error
        self._decisions.note(action, arn, decision)
        refusal = self._refusal(action, arn, decides.account_id, decision)
        what = "version" if error.code == "NoSuchVersion" else "object"
        refusal.reason = f"refused because the {what} does not exist, which only who may s3:ListBucket is told"
        return refusal

    def _bucket(self, resource_arn: str) -> _Bucket:
        """KeyError for a bucket that was not introduced: asking about it is a defect, and the answer is no."""
        return self._buckets[resource_arn.removeprefix(ARN_PREFIX).partition("/")[0]]

    def _decide(self, action: str, resource_arn: str, bucket: _Bucket, more: Context = _NO_CONTEXT) -> Decision:
        """`more` is known of this action besides what is of the request."""
        caller = self._caller
        principal = caller.principal
        is_owner = principal.account_id == bucket.account_id
        if is_owner and principal.kind is PrincipalKind.ROOT and action in _ALWAYS_OF_ROOT:
            return _ROOT_USER
        canonical_id, context = None, _NO_CONTEXT
        if bucket.policy is not None or bucket.grants is not None:
            canonical_id = self._canonical_id(principal.account_id)
        if not self._has_no_policy(bucket):  # else there is nobody to ask for it
            owner = (bucket.account_id,)
            context = self._conditions({"aws:resourceaccount": owner, "s3:resourceaccount": owner, **more})
        owned = self._objects.get(resource_arn)
        if owned is not None and action not in owned.actions:
            owned = None
        owner_id = bucket.account_id if owned is None else owned.account_id
        request = AccessRequest(principal, action, resource_arn, owner_id, context, canonical_id)
        try:
            policies = self._in_force(bucket)
        except PolicyError as error:  # a Deny may be what cannot be read
            return Decision(Outcome.EXPLICIT_DENY, f"a policy cannot be read: {error.message}", Layer.IDENTITY)
        if owner_id != bucket.account_id and policies.resource is not None:  # of what is another's it can only deny
            resource = _denials(policies.resource, "which can only deny what is of other accounts")
            policies = replace(policies, resource=resource)
        decision = evaluate(request, policies)
        if decision.outcome is Outcome.IMPLICIT_DENY and bucket.grants is not None:
            is_anonymous = principal.kind is PrincipalKind.ANONYMOUS
            if owned is None:
                acl = bucket_acl_policy(bucket.grants, is_anonymous=is_anonymous)
            else:
                acl = object_acl_policy(owned.grants, is_anonymous=is_anonymous)
            by_acl = evaluate(request, replace(policies, resource=acl))
            if by_acl.is_allowed:
                return by_acl
            ignored = (bucket if owned is None else owned).has_ignored_grants
            but = ", whose public grants IgnorePublicAcls takes away" if ignored else ""
            return replace(decision, decided_by=f"{decision.decided_by}; nor does the {acl.name}{but}")
        return decision

    def _has_no_policy(self, bucket: _Bucket) -> bool:
        """Nobody asks about anything."""
        return bucket.policy is None and self._caller.policies == NO_POLICIES

    def _in_force(self, bucket: _Bucket) -> PoliciesInForce:
        """Raises PolicyError."""
        if self._own is None:
            self._own = self._policies.in_force(self._caller.policies)
        return self._own if bucket.policy is None else self._own.beside(self._bucket_policy(bucket, bucket.policy))

    def _bucket_policy(self, bucket: _Bucket, text: str) -> NamedPolicy:
        """RestrictPublicBuckets: a public policy lets in nobody of another account, not even whom it names."""
        policy = self._policies.policy(text, PolicyKind.BUCKET)
        is_stranger = self._caller.principal.account_id != bucket.account_id
        named = NamedPolicy("bucket policy", policy)
        if is_stranger and bucket.block.restrict_public_buckets and is_public(text):
            whose = bucket.whose_block("restrict_public_buckets")
            return _denials(
                named, f"which is public, so that RestrictPublicBuckets of {whose} lets no other account in"
            )
        return named

    def _refusal(self, action: str, resource_arn: str, account_id: str, decision: Decision) -> S3Error:
        """Those of other accounts, and who is nobody, are told nothing of the reason (IAM User Guide, "Troubleshoot
        access denied error messages")."""
        principal = self._caller.principal
        if principal.kind is PrincipalKind.ANONYMOUS or principal.account_id != account_id:
            return S3Error("AccessDenied")
        return S3Error(
            "AccessDenied",
            f"User: {principal.arn} is not authorized to perform: {action}"
            f' on resource: "{resource_arn}" {decision.because(action)}',
        )


def _of_action(action: str, if_match: str | None, tags: ObjectTags | None) -> Context:
    """What is known of one action besides what the head of the request says."""
    known = {} if tags is None else dict(tags.condition_keys(action))
    if if_match is not None:
        known["s3:if-match"] = (if_match,)
    return known


def _effective(grants: Grants, block: PublicAccessBlock) -> Grants:
    """IgnorePublicAcls."""
    return without_public(grants) if block.ignore_public_acls else grants


def _denials(named: NamedPolicy, why: str) -> NamedPolicy:
    """What a policy denies, its Allows left out for a reason that goes with its name."""
    return NamedPolicy(f"{named.name}, {why}", replace(named.policy, allows=()))


_ROOT_USER = Decision(Outcome.ALLOWED, "root user of the bucket's account")
"""Also where nothing else can be in force (`are_unlimited`)."""


def resource_arn(address: Address) -> str:
    """The bucket or object of the request; all of S3 for an operation of neither."""
    if address.bucket is None:
        return ALL_RESOURCES_ARN
    return f"{ARN_PREFIX}{address.bucket}" if address.key is None else f"{ARN_PREFIX}{address.bucket}/{address.key}"
