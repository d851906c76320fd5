"""What an audit line tells, in the names of CloudTrail where it has one ("CloudTrail record contents").

Beside CloudTrail's own: `viaService` and `resourceArn` (as which service and for which S3 object the gateway acted),
`decisions` (who decided what) and `keyVersion`. An event never holds plaintext, key material or a whole grant token;
who makes one sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

API_CALL: Final = "AwsApiCall"
SERVICE_EVENT: Final = "AwsServiceEvent"
"""The service's own act: a key destroyed at the end of its window, a start, a stop."""

EVENT_SOURCE: Final = "kms.amazonaws.com"
KEY_TYPE: Final = "AWS::KMS::Key"


class SessionIssuer(msgspec.Struct, frozen=True, rename="camel"):
    """The role or user that a session is of; `type` is Role, IAMUser or Root."""

    type: str
    principal_id: str
    arn: str
    account_id: str
    user_name: str


class SessionAttributes(msgspec.Struct, frozen=True, rename="camel"):
    creation_date: str
    mfa_authenticated: str = "false"


class SessionContext(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Of temporary credentials; as CloudTrail's, but for `federated_provider`, which stands deeper there."""

    attributes: SessionAttributes
    session_issuer: SessionIssuer | None = None
    source_identity: str | None = None
    federated_provider: str | None = None


class UserIdentity(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`type` is CloudTrail's: Root, IAMUser, AssumedRole, FederatedUser, WebIdentityUser, AWSService, Unknown."""

    type: str
    principal_id: str
    arn: str
    account_id: str
    session_context: SessionContext | None = None


class Resource(msgspec.Struct, frozen=True, rename={"arn": "ARN", "account_id": "accountId"}):
    arn: str
    account_id: str
    type: str = KEY_TYPE


class Decision(msgspec.Struct, frozen=True, rename="camel"):
    """`decision` is "Allow" or "Deny"; `decided_by` names the policy's statement, the grant or the rule."""

    action: str
    resource: str
    decision: str
    decided_by: str


class Event(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    tag_field="record",
    tag="event",
    rename={
        "event_type": "eventType",
        "event_time": "eventTime",
        "event_source": "eventSource",
        "event_name": "eventName",
        "event_id": "eventID",
        "request_id": "requestID",
        "aws_region": "awsRegion",
        "source_ip": "sourceIPAddress",
        "user_agent": "userAgent",
        "user_identity": "userIdentity",
        "via_service": "viaService",
        "resource_arn": "resourceArn",
        "request_parameters": "requestParameters",
        "response_elements": "responseElements",
        "key_version": "keyVersion",
        "error_code": "errorCode",
        "error_message": "errorMessage",
        "details": "serviceEventDetails",
    },
):
    """One call, or one act of the service itself. `event_time` is aware and UTC; `event_id` is unique."""

    event_type: str
    event_time: datetime
    event_source: str
    event_name: str
    event_id: str
    aws_region: str
    user_identity: UserIdentity
    request_id: str = ""
    source_ip: str = ""
    user_agent: str = ""
    via_service: str | None = None
    resource_arn: str | None = None
    request_parameters: Mapping[str, Any] = {}
    response_elements: Mapping[str, Any] = {}
    resources: tuple[Resource, ...] = ()
    decisions: tuple[Decision, ...] = ()
    key_version: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    details: Mapping[str, Any] = {}


def utc_now() -> datetime:
    return datetime.now(UTC)
