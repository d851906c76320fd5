"""What can be wrong with a policy document, in the words of the service that was given it.

Sources of the messages: for identities, those recorded by moto's tests of IAM; for trust policies, S3 and KMS, answers
quoted in AWS's knowledge center and in public issues ("Policy contains a statement with one or more invalid
principals."). Where a service's own words are not known, `KEY` takes the nearest of IAM's.
"""

from __future__ import annotations

from enum import Enum
from itertools import zip_longest

from iam.policy.document import PolicyKind


class Fault(Enum):
    NOT_JSON = "not JSON"
    TOO_LARGE = "too large"
    SYNTAX = "syntax"
    VERSION = "version"
    DUPLICATE_SID = "duplicate Sid"
    LEGACY = "what IAM's older parser does not read"
    MISSING_STATEMENT = "no Statement"
    UNKNOWN_ELEMENT = "unknown element"
    MISSING_EFFECT = "no Effect"
    INVALID_EFFECT = "invalid Effect"
    MISSING_PRINCIPAL = "no Principal"
    PROHIBITED_PRINCIPAL = "Principal in an identity's policy"
    ALLOW_NOT_PRINCIPAL = "Allow with NotPrincipal"
    PROHIBITED_NOT_PRINCIPAL = "NotPrincipal in a trust policy"
    INVALID_PRINCIPAL = "invalid Principal"
    MISSING_ACTION = "no Action"
    INVALID_ACTION = "invalid Action"
    COLONS = "an Action of several colons"
    VENDOR = "an Action of no service"
    MISSING_RESOURCE = "no Resource"
    PROHIBITED_RESOURCE = "Resource in a trust policy"
    PROHIBITED_NOT_RESOURCE = "NotResource in a trust policy"
    INVALID_RESOURCE = "invalid Resource"
    PARTITION = "a Resource of no partition"
    RESOURCE_VENDOR = "a Resource of no service"
    IAM_REGION = "a Resource of IAM in a region"
    IAM_PATH = "a Resource of IAM of no kind"
    S3_REGION = "a Resource of S3 in a region"
    INVALID_CONDITION = "invalid Condition"
    ACTION_RESOURCE = "Action and Resource do not go together"
    CONDITION_ACTION = "Action and Condition do not go together"
    CONDITION_KEY = "a condition key of S3 that it has not"


_IAM = {
    Fault.NOT_JSON: "Syntax errors in policy.",
    Fault.TOO_LARGE: "The policy document is too large.",
    Fault.SYNTAX: "Syntax errors in policy.",
    Fault.VERSION: "Policy document must be version 2012-10-17 or greater.",
    Fault.DUPLICATE_SID: "Statement IDs (SID) in a single policy must be unique.",
    Fault.LEGACY: "The policy failed legacy parsing",
    Fault.MISSING_STATEMENT: "Syntax errors in policy.",
    Fault.UNKNOWN_ELEMENT: "Syntax errors in policy.",
    Fault.MISSING_EFFECT: "Syntax errors in policy.",
    Fault.INVALID_EFFECT: "Syntax errors in policy.",
    Fault.MISSING_PRINCIPAL: "Missing required field Principal",
    Fault.PROHIBITED_PRINCIPAL: "Policy document should not specify a principal.",
    Fault.ALLOW_NOT_PRINCIPAL: "Allow with NotPrincipal is not allowed.",
    Fault.PROHIBITED_NOT_PRINCIPAL: "AssumeRole policy must not contain NotPrincipal field.",
    Fault.INVALID_PRINCIPAL: "Invalid principal in policy",
    Fault.MISSING_ACTION: "Policy statement must contain actions.",
    Fault.INVALID_ACTION: "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
    Fault.COLONS: "Actions/Condition can contain only one colon.",
    Fault.VENDOR: "Vendor {} is not valid",
    Fault.MISSING_RESOURCE: "Policy statement must contain resources.",
    Fault.PROHIBITED_RESOURCE: "Has prohibited field Resource",
    Fault.PROHIBITED_NOT_RESOURCE: "AssumeRole policy must not contain resources.",
    Fault.INVALID_RESOURCE: 'Resource {} must be in ARN format or "*".',
    Fault.PARTITION: 'Partition "{}" is not valid for resource "{}".',
    Fault.RESOURCE_VENDOR: "Resource vendor must be fully qualified and cannot contain regexes.",
    Fault.IAM_REGION: "IAM resource {} cannot contain region information.",
    Fault.IAM_PATH: 'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/,'
    " instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/,"
    " access-report/.",
    Fault.S3_REGION: "Resource {} can not contain region information.",
    Fault.INVALID_CONDITION: "Syntax errors in policy.",
}

_TRUST = {
    **_IAM,
    Fault.MISSING_STATEMENT: "Missing required field Statement",
    Fault.NOT_JSON: "This policy contains invalid Json",
    Fault.VERSION: "The policy must contain a valid version string",
    Fault.DUPLICATE_SID: "The Statement Ids in the policy are not unique",
    Fault.UNKNOWN_ELEMENT: "Unknown field {}",
    Fault.MISSING_EFFECT: "Missing required field Effect",
    Fault.INVALID_EFFECT: "Invalid effect: {}",
    Fault.PROHIBITED_PRINCIPAL: 'AssumeRolepolicy contained an invalid principal: "STAR":"*".',
    Fault.INVALID_PRINCIPAL: "Invalid principal in policy: {}",
    Fault.MISSING_ACTION: "Missing required field Action",
    Fault.INVALID_ACTION: "AssumeRole policy may only specify STS AssumeRole actions.",
}

_KEY = {
    **_IAM,
    Fault.NOT_JSON: "The policy is not valid JSON.",
    Fault.TOO_LARGE: "The policy is larger than 32768 bytes.",
    Fault.MISSING_PRINCIPAL: "Policy contains a statement with no principal.",
    Fault.INVALID_PRINCIPAL: "Policy contains a statement with one or more invalid principals.",
    Fault.INVALID_ACTION: "Policy contains a statement with one or more invalid actions.",
    Fault.INVALID_RESOURCE: "Policy contains a statement with one or more invalid resources.",
    Fault.INVALID_CONDITION: "Policy contains a statement with one or more invalid conditions.",
}

_S3 = {
    **_IAM,
    Fault.MISSING_STATEMENT: "Missing required field Statement",
    Fault.NOT_JSON: "Policies must be valid JSON and the first byte must be '{'",
    Fault.TOO_LARGE: "Policy exceeds the maximum allowed document size.",
    Fault.SYNTAX: "Invalid policy syntax.",
    Fault.VERSION: "The policy must contain a valid version string",
    Fault.DUPLICATE_SID: "Statement IDs (SID) in a single policy must be unique.",
    Fault.UNKNOWN_ELEMENT: "Unknown field {}",
    Fault.MISSING_EFFECT: "Missing required field Effect",
    Fault.INVALID_EFFECT: "Invalid effect: {}",
    Fault.MISSING_ACTION: "Missing required field Action",
    Fault.INVALID_ACTION: "Policy has invalid action",
    Fault.MISSING_RESOURCE: "Missing required field Resource",
    Fault.INVALID_RESOURCE: "Policy has invalid resource",
    Fault.INVALID_CONDITION: "Invalid Condition",
    Fault.ACTION_RESOURCE: "Action does not apply to any resource(s) in statement",
    Fault.CONDITION_ACTION: "Conditions do not apply to combination of actions and resources in statement",
    Fault.CONDITION_KEY: "Policy has an invalid condition key",
}

MESSAGES = {PolicyKind.IDENTITY: _IAM, PolicyKind.TRUST: _TRUST, PolicyKind.KEY: _KEY, PolicyKind.BUCKET: _S3}


class PolicyError(Exception):
    """The document is not a policy of its kind; `message` is what the service that was given it answers.

    The service gives it its own code: MalformedPolicyDocument, MalformedPolicy, MalformedPolicyDocumentException.
    """

    def __init__(self, kind: PolicyKind, fault: Fault, *details: str) -> None:
        """`details` are what the message quotes."""
        message, *rest = MESSAGES[kind][fault].split("{}")
        for detail, text in zip_longest(details[: len(rest)], rest, fillvalue=""):
            message += detail[:200].encode("utf-8", "replace").decode() + text
        super().__init__(message)
        self.kind = kind
        self.fault = fault
        self.message = message
