"""What the caller of one S3 request may do: its identity-based policies, held against every resource that it touches.

The bucket's owner is checked where its row is read (`Call.bucket_named`), so that here every resource counts as one of
the caller's own account: another account's is refused there whatever this says. Sources: IAM User Guide, "Policy
evaluation logic"; Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.protocol.addressing import Address
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request
from gateway.protocol.query import Query
from iam.policy.cache import PolicyCache
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import AccessRequest, Decision, Layer, NamedPolicy, Outcome, PoliciesInForce, evaluate
from iam.policy.variables import Context
from iam.principals import Caller, PolicyText, PrincipalKind

ALL_RESOURCES_ARN = "arn:aws:s3:::*"
"""What an operation of no bucket (ListBuckets) is decided about."""

_OF_A_VERSION = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
}
_FROM_QUERY = {"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"}
_FROM_VERSION = {"s3:versionid": "versionId"}
_FROM_HEADERS = (
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
)
_PRINCIPAL_TYPES = {PrincipalKind.ROOT: "Account", PrincipalKind.USER: "User"}


def action_on(action: str, *, is_version_named: bool) -> str:
    """The action that reading or deleting needs: another one where the request names a version."""
    return _OF_A_VERSION.get(action, action) if is_version_named else action


class Permissions:
    """Asked for each resource of one request, before it is touched."""

    __slots__ = ("_caller", "_context", "_policies")

    def __init__(self, caller: Caller, context: Context, policies: PolicyCache) -> None:
        self._caller = caller
        self._context = context
        self._policies = policies

    def require(self, action: str, resource_arn: str) -> None:
        """Raises S3Error AccessDenied, in AWS's words."""
        decision = self._decide(action, resource_arn)
        if not decision.is_allowed:
            raise S3Error(
                "AccessDenied",
                f"User: {self._caller.principal.arn} is not authorized to perform: {action}"
                f' on resource: "{resource_arn}" {decision.because(action)}',
            )

    def allows(self, action: str, resource_arn: str) -> bool:
        return self._decide(action, resource_arn).is_allowed

    def require_at(self, action: str, address: Address, query: Query) -> None:
        """What an operation's row asks for at the request's address; what else it touches, its handler asks for.

        Raises S3Error AccessDenied.
        """
        arn = resource_arn(address)
        is_version_named = query.has("versionId")
        self.require(action_on(action, is_version_named=is_version_named), arn)
        if action == "s3:GetObjectAttributes":  # API_GetObjectAttributes, "Permissions": both are needed
            self.require(action_on("s3:GetObject", is_version_named=is_version_named), arn)

    def conceal(self, error: S3Error, bucket: str) -> S3Error:
        """What a missing key is to a caller who may not list the bucket: forbidden, so that nothing can be guessed.

        API_GetObject: 404 with s3:ListBucket, else 403.
        """
        is_missing = error.code in {"NoSuchKey", "NoSuchVersion"}
        return (
            S3Error("AccessDenied") if is_missing and not self.allows("s3:ListBucket", _bucket_arn(bucket)) else error
        )

    def _decide(self, action: str, resource_arn: str) -> Decision:
        principal = self._caller.principal
        request = AccessRequest(principal, action, resource_arn, principal.account_id, self._context)
        own = self._caller.policies
        try:
            policies = PoliciesInForce(
                tuple(self._named(each) for each in own.identity),
                None if own.boundary is None else self._named(own.boundary),
                None if own.session is None else tuple(self._named(each) for each in own.session),
            )
        except PolicyError as error:  # a Deny may be what cannot be read
            return Decision(Outcome.EXPLICIT_DENY, f"a policy cannot be read: {error.message}", Layer.IDENTITY)
        return evaluate(request, policies)

    def _named(self, policy: PolicyText) -> NamedPolicy:
        return NamedPolicy(policy.name, self._policies.policy(policy.text, PolicyKind.IDENTITY))


def resource_arn(address: Address) -> str:
    """The bucket or object of the request; all of S3 for an operation of neither."""
    if address.bucket is None:
        return ALL_RESOURCES_ARN
    return _bucket_arn(address.bucket) if address.key is None else f"{_bucket_arn(address.bucket)}/{address.key}"


def _bucket_arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def condition_keys(caller: Caller, request: Request, query: Query, *, now: datetime, is_presigned: bool) -> Context:
    """The condition keys of a request, in lower case. Headers that a presigned URL carries must be in `request`."""
    values: dict[str, str | None] = {
        **_of_caller(caller),
        "aws:currenttime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:referer": request.headers.get("referer"),
        "s3:authtype": "REST-QUERY-STRING" if is_presigned else "REST-HEADER",
        "s3:signatureversion": "AWS4-HMAC-SHA256",
    }
    values |= {name: query.get(parameter) for name, parameter in (_FROM_QUERY | _FROM_VERSION).items()}
    values |= {f"s3:{name}": request.headers.get(name) for name in _FROM_HEADERS}
    tags = {f"aws:principaltag/{name.lower()}": value for name, value in caller.principal.tags}
    return {name: (value,) for name, value in (values | tags).items() if value is not None}


def _of_caller(caller: Caller) -> Mapping[str, str | None]:
    principal = caller.principal
    return {
        "aws:principalaccount": principal.account_id,
        "aws:principalarn": principal.arn,
        "aws:principaltype": _PRINCIPAL_TYPES.get(principal.kind),
        "aws:resourceaccount": principal.account_id,
        "aws:securetransport": str(caller.is_secure_transport).lower(),
        "aws:sourceip": caller.source_ip or None,
        "aws:useragent": caller.user_agent or None,
        "aws:userid": principal.principal_id,
        "aws:username": principal.arn.rpartition("/")[2] if principal.kind is PrincipalKind.USER else None,
        "aws:viaawsservice": "false",
        "s3:resourceaccount": principal.account_id,
    }
