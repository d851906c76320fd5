"""Identity-based policies: what IAM asks of one besides the grammar when it is put, in IAM's order.

The order is that of IAM's answers: of a document with several faults they tell which is looked for first, in all of its
statements before the next one. Source: answers of IAM recorded by moto's tests of policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from iam.policy.conditions import is_operator
from iam.policy.dates import parse_date
from iam.policy.document import PolicyKind
from iam.policy.errors import Fault, PolicyError

PARTITIONS = frozenset({"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"})
IAM_PATHS = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)
_VENDOR = re.compile(r"[A-Za-z0-9.-]+")

Object = Mapping[str, object]


def check_types(statement: Object) -> None:
    """Of a statement whose elements are known: what is looked at before the version is. Raises PolicyError."""
    effect = statement.get("Effect")
    if not isinstance(effect, str) or effect.lower() not in {"allow", "deny"}:
        _refuse(Fault.INVALID_EFFECT)
    if not isinstance(statement.get("Sid", ""), str):
        _refuse(Fault.SYNTAX)
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        _texts(statement, name)
    for operator, keys in _mapping(statement.get("Condition", {})).items():
        if _mapping(keys) and not is_operator(operator):
            _refuse(Fault.INVALID_CONDITION)
        for values in _mapping(keys).values():
            if any(isinstance(each, dict | list) for each in _listed(values)):
                _refuse(Fault.SYNTAX)


def check_statements(statements: Sequence[Object]) -> None:
    """Of statements that passed `check_types`: the rest. Raises PolicyError."""
    for statement in statements:
        if statement["Effect"] not in {"Allow", "Deny"}:
            _refuse(Fault.LEGACY)
        _check_dates(statement)
    bad_resource = _first_bad_resource(statements)
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(set(sids)) != len(sids):
        _refuse(Fault.DUPLICATE_SID)
    if any("Principal" in statement or "NotPrincipal" in statement for statement in statements):
        _refuse(Fault.PROHIBITED_PRINCIPAL)
    for statement in statements:
        if not _texts(statement, "Action") and not _texts(statement, "NotAction"):
            _refuse(Fault.MISSING_ACTION)
    if bad_resource is not None:
        raise bad_resource
    for action in _each(statements, "Action", "NotAction"):
        _check_action(action)
    for statement in statements:
        if not _texts(statement, "Resource") and not _texts(statement, "NotResource"):
            _refuse(Fault.MISSING_RESOURCE)


def _check_dates(statement: Object) -> None:
    for operator, keys in _mapping(statement.get("Condition", {})).items():
        if operator.rpartition(":")[2].startswith("Date"):
            for values in _mapping(keys).values():
                for value in map(str, _listed(values)):
                    try:
                        parse_date(value)
                    except ValueError:
                        _refuse(Fault.LEGACY)


def _first_bad_resource(statements: Iterable[Object]) -> PolicyError | None:
    """What is no ARN is told at once, what is one that IAM does not take when everything else is in order."""
    for resource in _each(statements, "Resource", "NotResource"):
        try:
            _check_resource(resource)
        except PolicyError as error:
            if error.fault is Fault.LEGACY:
                raise
            return error
    return None


_IN_REGIONS = ("access-grants/", "accesspoint/", "async-request/", "job/", "storage-lens/", "storage-lens-group/")
"""What S3 has in a region (Service Authorization Reference, "Resource types defined by Amazon S3"): no buckets."""


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    _, colon, rest = resource.partition(":")
    if not colon:
        _refuse(Fault.INVALID_RESOURCE, resource)
    partition, colon, rest = rest.partition(":")
    if "*" not in partition and partition not in PARTITIONS:
        parts = (rest.split(":", 3) if rest else []) + ["*"] * 4
        _refuse(Fault.PARTITION, partition, f"arn:{partition}:{':'.join(parts[:4])}")
    vendor, _, region_and_path = rest.partition(":")
    if not colon or "*" in vendor or "?" in vendor:
        _refuse(Fault.RESOURCE_VENDOR)
    region, _, account_and_path = region_and_path.partition(":")
    path = account_and_path.partition(":")[2]
    if vendor == "iam" and region:
        _refuse(Fault.IAM_REGION, resource)
    if vendor == "s3" and region and not path.startswith(_IN_REGIONS):
        _refuse(Fault.S3_REGION, resource)
    if vendor == "iam" and region_and_path and not path.startswith((*IAM_PATHS, "*")):
        _refuse(Fault.IAM_PATH)
    if not vendor or (resource.count(":") < 5 and "::" in resource):
        _refuse(Fault.LEGACY)


def _check_action(action: str) -> None:
    if action == "*":
        return
    vendor, colon, name = action.partition(":")
    if not colon:
        _refuse(Fault.INVALID_ACTION)
    if ":" in name:
        _refuse(Fault.COLONS)
    if not _VENDOR.fullmatch(vendor):
        _refuse(Fault.VENDOR, vendor)


def _each(statements: Iterable[Object], *names: str) -> Iterable[str]:
    return (text for statement in statements for name in names for text in _texts(statement, name))


def _texts(statement: Object, name: str) -> Sequence[str]:
    """One text or a list of some; none where the element is absent."""
    return [each if type(each) is str else _refuse(Fault.SYNTAX) for each in _listed(statement.get(name, []))]


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else _refuse(Fault.SYNTAX)


def _refuse(fault: Fault, *details: str) -> NoReturn:
    raise PolicyError(PolicyKind.IDENTITY, fault, *details)
