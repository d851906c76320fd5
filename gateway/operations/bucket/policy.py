"""PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus (API reference: API_PutBucketPolicy, …).

The text is kept as its owner wrote it; `gateway.operations.authorisation` puts it in force.
"""

from __future__ import annotations

from gateway.operations.authorisation import resource_arn
from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.public_access import Prevented, prevented
from gateway.protocol.xml.documents.policy import PolicyStatus
from gateway.storage.index.records import BucketRow
from iam.policy.bucket import parse_bucket_policy
from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import Fault, PolicyError
from iam.policy.public import is_public
from iam.principals import PrincipalKind

CONFIRMATION = "x-amz-confirm-remove-self-bucket-access"


async def put(call: Call) -> Response:
    bucket = await _own_bucket(call)
    body = await call.read_document()
    try:
        text = body.decode()
        policy = parse_bucket_policy(text, bucket.name)
        if not _are_there(call, policy) and not (await call.services.catch_up() and _are_there(call, policy)):
            raise PolicyError(PolicyKind.BUCKET, Fault.INVALID_PRINCIPAL)
    except UnicodeDecodeError:
        raise S3Error("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'") from None
    except PolicyError as error:
        raise S3Error("MalformedPolicy", error.message) from None
    _check_public(call, bucket, text)
    _check_lockout(call, text)
    await change_bucket(call, bucket, policy=text)
    return Response(status=204)


async def get(call: Call) -> Response:
    text = _policy_of(call, await _own_bucket(call))
    return Response(headers={"Content-Type": "application/json"}, body=text.encode())


async def delete(call: Call) -> Response:
    """Idempotent."""
    await change_bucket(call, await _own_bucket(call), policy=None)
    return Response(status=204)


async def get_status(call: Call) -> Response:
    return xml_response(PolicyStatus(is_public(_policy_of(call, await _own_bucket(call)))))


def _policy_of(call: Call, bucket: BucketRow) -> str:
    text = call.services.rows.open_bucket(bucket).policy
    if text is None:
        raise S3Error("NoSuchBucketPolicy", fields={"BucketName": bucket.name})
    return text


async def _own_bucket(call: Call) -> BucketRow:
    """API_PutBucketPolicy: whoever is allowed to, but belongs to another account, gets 405."""
    bucket = await call.bucket()
    if bucket.account_id != call.account_id:
        fields = {"Method": call.request.method, "ResourceType": "BUCKETPOLICY"}
        raise S3Error("MethodNotAllowed", fields=fields)
    return bucket


def _are_there(call: Call, policy: Policy) -> bool:
    """False where the policy names somebody who is not known to be there."""
    named = [statement.principals for statement in policy.statements if statement.principals is not None]
    names = set[str]().union(*(each.arns | each.unique_ids for each in named))
    return all(map(call.services.could_be_principal, names))


def _check_public(call: Call, bucket: BucketRow, text: str) -> None:
    block = call.services.block_of(bucket.account_id, call.services.rows.open_bucket(bucket))
    if block.block_public_policy and is_public(text):
        arn = resource_arn(call.address)
        by = Prevented(
            "public policies", "BlockPublicPolicy", call.services.whose_block(bucket.account_id, "block_public_policy")
        )
        raise prevented(call.caller.principal.arn, "s3:PutBucketPolicy", arn, by)


def _check_lockout(call: Call, text: str) -> None:
    """Who would lose the right to change the policy must say that this is meant. The root user never loses it."""
    if call.caller.principal.kind is PrincipalKind.ROOT:
        return
    if call.request.headers.get(CONFIRMATION, "").strip().lower() == "true":
        return
    if not call.permissions.allows_under(text, "s3:PutBucketPolicy", resource_arn(call.address)):
        raise S3Error(
            "AccessDenied",
            "The policy would take from you the permission to change the bucket policy again; set "
            f"{CONFIRMATION} to true if that is meant.",
            decided_by="the new bucket policy",
            reason="refused because the policy would take s3:PutBucketPolicy from the caller",
        )
