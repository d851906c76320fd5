"""Every condition key that AWS's references name: served, or absent for a reason that is stated here.

Those of S3 that are served are tried out from outside by `tests/clients/test_condition_keys.py`, those of the KMS by
`tests/kms/service/test_authorisation.py`, those of IAM and STS by the tests named beside them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.operations.condition_keys import EXISTING_TAGS, RequestContext
from gateway.protocol.messages import Request
from gateway.protocol.query import Query
from iam.face.authorisation import resource_tags
from iam.policy.bucket import OBJECT_ACTIONS
from iam.policy.global_keys import GLOBAL_KEYS, session_keys
from iam.policy.s3_reference import BUCKET_ACTIONS, OF_ACTIONS, OF_EVERY_ACTION, actions_of_key
from iam.principals import ANONYMOUS, Caller, Session
from kms.service.conditions import CONDITION_KEYS as KMS_KEYS
from tests.clients.test_condition_keys import CASES
from tests.harness import REPOSITORY

VECTORS = REPOSITORY / "tests" / "vectors"
REFERENCE = json.loads((VECTORS / "condition_keys.json").read_text(encoding="utf-8"))
ACTIONS = json.loads((VECTORS / "service_authorization.json").read_text(encoding="utf-8"))

NO_ACCESS_POINTS = "there are no access points"
NO_ACCESS_GRANTS = "there are no access grants"
NO_BATCH = "there is no Batch Operations"
NO_LOCK = "there is no Object Lock yet: requests that bring one are refused"
NO_ABAC = "tags of buckets do not decide: PutBucketAbac is not served"
NO_ORGANIZATIONS = "accounts are in no tree that policies know"
NO_VPC = "there are no virtual networks; aws:SourceIp tells the address"
NO_SERVICES = "no service calls on its own behalf"
NO_CHAIN = "S3 is not among the services that AWS names in it, and no other calls for a principal"
NO_INSTANCES = "there are no instances, functions or builds that would hold credentials"
NO_ATTESTATION = "there are no attested enclaves"
NO_MFA = "there are no devices: a session says aws:MultiFactorAuthPresent false"
NO_SAML = "there are no SAML providers"
NO_PASSING = "no role is passed to a service"
NO_DELEGATION = "there are no delegation requests"
NO_SECURITY_KEYS = "there are no security keys of users"
NO_SERVICE_CREDENTIALS = "there are no service-specific credentials"
BY_PROVIDER = "claims of whichever OpenID Connect provider the account has registered go by its URL"

ABSENT = {
    "s3": {
        "s3:AccessGrantScope": NO_ACCESS_GRANTS,
        "s3:AccessGrantsInstanceArn": NO_ACCESS_GRANTS,
        "s3:AccessGrantsLocationScope": NO_ACCESS_GRANTS,
        "s3:AccessPointNetworkOrigin": NO_ACCESS_POINTS,
        "s3:AccessPointTag/": NO_ACCESS_POINTS,
        "s3:BucketTag/": NO_ABAC,
        "s3:DataAccessPointAccount": NO_ACCESS_POINTS,
        "s3:DataAccessPointArn": NO_ACCESS_POINTS,
        "s3:ExistingJobOperation": NO_BATCH,
        "s3:ExistingJobPriority": NO_BATCH,
        "s3:InventoryAccessibleOptionalFields": "PutBucketInventoryConfiguration is not served",
        "s3:JobSuspendedCause": NO_BATCH,
        "s3:RequestJobOperation": NO_BATCH,
        "s3:RequestJobPriority": NO_BATCH,
        "s3:destinationRegion": "there is no replication",
        "s3:isReplicationPauseRequest": "there is no replication",
        "s3:object-lock-legal-hold": NO_LOCK,
        "s3:object-lock-mode": NO_LOCK,
        "s3:object-lock-remaining-retention-days": NO_LOCK,
        "s3:object-lock-retain-until-date": NO_LOCK,
    },
    "kms": {
        "kms:RecipientAttestation:ImageSha384": NO_ATTESTATION,
        "kms:RecipientAttestation:NitroTPMPCR": NO_ATTESTATION,
        "kms:RecipientAttestation:PCR": NO_ATTESTATION,
    },
    "iam": {
        "iam:AWSServiceName": "there are no service-linked roles",
        "iam:AssociatedResourceArn": NO_PASSING,
        "iam:DelegationDuration": NO_DELEGATION,
        "iam:DelegationRequestOwner": NO_DELEGATION,
        "iam:FIDO-FIPS-140-2-certification": NO_SECURITY_KEYS,
        "iam:FIDO-FIPS-140-3-certification": NO_SECURITY_KEYS,
        "iam:FIDO-certification": NO_SECURITY_KEYS,
        "iam:NotificationChannel": NO_DELEGATION,
        "iam:OrganizationsPolicyId": NO_ORGANIZATIONS,
        "iam:PassedToService": NO_PASSING,
        "iam:RegisterSecurityKey": NO_SECURITY_KEYS,
        "iam:ServiceSpecificCredentialAgeDays": NO_SERVICE_CREDENTIALS,
        "iam:ServiceSpecificCredentialServiceName": NO_SERVICE_CREDENTIALS,
        "iam:TemplateArn": NO_DELEGATION,
    },
    "sts": {
        "accounts.google.com:aud": BY_PROVIDER,
        "accounts.google.com:oaud": BY_PROVIDER,
        "accounts.google.com:sub": BY_PROVIDER,
        "cognito-identity.amazonaws.com:amr": BY_PROVIDER,
        "cognito-identity.amazonaws.com:aud": BY_PROVIDER,
        "cognito-identity.amazonaws.com:sub": BY_PROVIDER,
        "graph.facebook.com:app_id": BY_PROVIDER,
        "graph.facebook.com:id": BY_PROVIDER,
        "iam:ResourceTag/": "aws:ResourceTag says the same of roles",
        "saml:": NO_SAML,
        "sts:AWSServiceName": "GetServiceBearerToken is not served",
        "sts:DurationSeconds": "AWS gives it to GetServiceBearerToken and to AssumeRoot, which are not served",
        "sts:IdentityTokenAudience": "GetWebIdentityToken is not served",
        "sts:RequestContext/": "there are no context providers",
        "sts:RequestContextProviders": "there are no context providers",
        "sts:SigningAlgorithm": "GetWebIdentityToken is not served",
        "sts:TaskPolicyArn": "AssumeRoot is not served",
        "www.amazon.com:app_id": BY_PROVIDER,
        "www.amazon.com:user_id": BY_PROVIDER,
    },
    "global": {
        "aws:AssumedRoot": "AssumeRoot is not served",
        "aws:CalledVia": NO_CHAIN,
        "aws:CalledViaFirst": NO_CHAIN,
        "aws:CalledViaLast": NO_CHAIN,
        "aws:ChatbotSourceArn": NO_SERVICES,
        "aws:Ec2InstanceSourcePrivateIPv4": NO_INSTANCES,
        "aws:Ec2InstanceSourceVpc": NO_INSTANCES,
        "aws:MultiFactorAuthAge": NO_MFA,
        "aws:PrincipalOrgID": NO_ORGANIZATIONS,
        "aws:PrincipalOrgPaths": NO_ORGANIZATIONS,
        "aws:PrincipalServiceName": NO_SERVICES,
        "aws:PrincipalServiceNamesList": NO_SERVICES,
        "aws:ResourceOrgID": NO_ORGANIZATIONS,
        "aws:ResourceOrgPaths": NO_ORGANIZATIONS,
        "aws:SourceAccount": NO_SERVICES,
        "aws:SourceOrgID": NO_ORGANIZATIONS,
        "aws:SourceOrgPaths": NO_ORGANIZATIONS,
        "aws:SourceVpc": NO_VPC,
        "aws:SourceVpcArn": NO_VPC,
        "aws:SourceVpce": NO_VPC,
        "aws:VpcSourceIp": NO_VPC,
        "aws:VpceAccount": NO_VPC,
        "aws:VpceOrgID": NO_VPC,
        "aws:VpceOrgPaths": NO_VPC,
        "codebuild:BuildArn": NO_INSTANCES,
        "codebuild:ProjectArn": NO_INSTANCES,
        "ec2:RoleDelivery": NO_INSTANCES,
        "ec2:SourceInstanceArn": NO_INSTANCES,
        "glue:CredentialIssuingService": NO_INSTANCES,
        "glue:RoleAssumedBy": NO_INSTANCES,
        "identitystore:UserId": "there is no Identity Center",
        "lambda:SourceFunctionArn": NO_INSTANCES,
        "ssm:SourceInstanceArn": NO_INSTANCES,
    },
}
"""By service, the keys that no request here has, and why. A condition on one holds only if it holds without the key."""

KMS_TESTS = "tests/kms/service/test_authorisation.py"
IDENTITIES = "tests/iam/face/test_roles.py"
SESSIONS = "tests/iam/face/test_assume_role.py"
HERE = "tests/test_condition_keys.py"

BY_OTHERS = {
    "kms": {"kms:EncryptionContext:": KMS_TESTS},
    "iam": {"iam:PermissionsBoundary": IDENTITIES, "iam:PolicyARN": IDENTITIES, "iam:ResourceTag/": HERE},
    "sts": {
        "sts:ExternalId": SESSIONS,
        "sts:RoleSessionName": SESSIONS,
        "sts:SourceIdentity": SESSIONS,
        "sts:TransitiveTagKeys": SESSIONS,
    },
    "global": {
        "aws:FederatedProvider": HERE,
        "aws:MultiFactorAuthPresent": SESSIONS,
        "aws:PrincipalTag/": "tests/clients/test_condition_keys.py",
        "aws:RequestTag/": SESSIONS,
        "aws:ResourceTag/": SESSIONS,
        "aws:SourceArn": KMS_TESTS,
        "aws:SourceIdentity": SESSIONS,
        "aws:TagKeys": SESSIONS,
        "aws:TokenIssueTime": SESSIONS,
    },
}
"""Keys that are made elsewhere than in the tables of keys, with what tries them out."""


def served(service: str) -> set[str]:
    """In lower case: those that the tables of keys have, or that are made where they are known."""
    others = {key.lower() for key in BY_OTHERS.get(service, {})}
    if service == "s3":
        return {key.lower() for key in CASES if key.startswith("s3:")}
    if service == "kms":
        return {key for key in KMS_KEYS if key.startswith("kms:")} | others
    if service == "global":
        return GLOBAL_KEYS | {"aws:referer", "aws:requestedregion", "aws:resourceaccount"} | others
    return others


@pytest.mark.parametrize("service", ["s3", "kms", "iam", "sts", "global"])
def test_every_key_is_served_or_is_absent_for_a_reason(service: str) -> None:
    known = {key.lower() for key in REFERENCE[service]}
    absent = {key.lower() for key in ABSENT[service]}
    beyond = {"kms": {"kms:policyname"}}.get(service, set())  # of PutKeyPolicy's page, not of the reference
    assert served(service) & absent == set()
    assert (served(service) - beyond) | absent == known
    assert all(ABSENT[service].values())


@pytest.mark.parametrize("service", BY_OTHERS)
def test_what_tries_a_key_out_names_it(service: str) -> None:
    for key, path in BY_OTHERS[service].items():
        assert key.lower().rstrip("/:") in (REPOSITORY / path).read_text(encoding="utf-8").lower(), key


def test_the_keys_of_s3_go_with_the_actions_of_the_reference() -> None:
    actions = OBJECT_ACTIONS | BUCKET_ACTIONS
    for key, names in REFERENCE["s3"].items():
        of_reference = {f"s3:{name}" for name in names} & actions
        if key.lower() in OF_EVERY_ACTION:
            continue
        if not of_reference:
            assert key.lower() not in OF_ACTIONS, key
        else:
            found = actions_of_key(key.lower() + ("x" if key.endswith("/") else ""))
            assert found is not None and found & actions == of_reference, key


def test_the_actions_of_s3_are_those_of_the_reference() -> None:
    kinds = ACTIONS["s3"]
    assert {f"s3:{name}" for name, of in kinds.items() if "bucket" in of} == BUCKET_ACTIONS
    assert {f"s3:{name}" for name, of in kinds.items() if "object" in of} == OBJECT_ACTIONS


def test_what_is_absent_is_in_no_request() -> None:
    """That the reasons are not out of date: such a key would have to move to what is served."""

    class NoBody:
        async def read(self) -> bytes:
            return b""

    headers = {key.removeprefix("s3:"): "x" for key in REFERENCE["s3"]}
    query = "&".join(f"{key.removeprefix('s3:')}=x" for key in REFERENCE["s3"] if "/" not in key)
    request = Request("PUT", "/b/k", query, headers, NoBody(), 0, "r", "10.1.2.3", True)
    now = datetime(2026, 11, 28, tzinfo=UTC)
    context = RequestContext(
        Caller(ANONYMOUS, "r"), request, Query(query), operation="PutObject", now=now, signing=None, region="eu-1"
    )
    absent = {key.lower() for keys in ABSENT.values() for key in keys}
    assert not absent & set(context)
    assert EXISTING_TAGS in {key.lower() for key in REFERENCE["s3"]}


def test_keys_that_no_other_test_names() -> None:
    assert resource_tags([("Team", "red")])["iam:resourcetag/team"] == ("red",)
    session = Session(issued_us=0, expires_us=1, federated_provider="arn:aws:iam::111122223333:oidc-provider/x")
    assert session_keys(session)["aws:federatedprovider"] == ("arn:aws:iam::111122223333:oidc-provider/x",)
