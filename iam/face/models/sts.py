"""Operations of the AWS STS API and the shapes of the requests that are served.

Made by tests/iam/face/generate_models.py from botocore's model (API version 2011-06-15); not edited by hand.
"""

from __future__ import annotations

from iam.face.shapes import Kind, Model, Shape

_OPERATIONS = (
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "DecodeAuthorizationMessage",
    "GetAccessKeyInfo",
    "GetCallerIdentity",
    "GetDelegatedAccessToken",
    "GetFederationToken",
    "GetScopedCredentials",
    "GetSessionToken",
    "GetWebIdentityToken",
)

_INPUTS: dict[str, str] = {
    "AssumeRole": "AssumeRoleRequest",
    "AssumeRoleWithWebIdentity": "AssumeRoleWithWebIdentityRequest",
    "DecodeAuthorizationMessage": "DecodeAuthorizationMessageRequest",
    "GetAccessKeyInfo": "GetAccessKeyInfoRequest",
    "GetCallerIdentity": "GetCallerIdentityRequest",
    "GetFederationToken": "GetFederationTokenRequest",
    "GetSessionToken": "GetSessionTokenRequest",
}

_SHAPES: dict[str, Shape] = {
    "AssumeRoleRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleArn": "arnType",
            "RoleSessionName": "roleSessionNameType",
            "PolicyArns": "policyDescriptorListType",
            "Policy": "unrestrictedSessionPolicyDocumentType",
            "DurationSeconds": "roleDurationSecondsType",
            "Tags": "tagListType",
            "TransitiveTagKeys": "tagKeyListType",
            "ExternalId": "externalIdType",
            "SerialNumber": "serialNumberType",
            "TokenCode": "tokenCodeType",
            "SourceIdentity": "sourceIdentityType",
            "ProvidedContexts": "ProvidedContextsListType",
            "MinimumSessionTokenSize": "minimumSessionTokenSizeType",
        },
        required=(
            "RoleArn",
            "RoleSessionName",
        ),
    ),
    "AssumeRoleWithWebIdentityRequest": Shape(
        Kind.STRUCTURE,
        members={
            "RoleArn": "arnType",
            "RoleSessionName": "roleSessionNameType",
            "WebIdentityToken": "clientTokenType",
            "ProviderId": "urlType",
            "PolicyArns": "policyDescriptorListType",
            "Policy": "sessionPolicyDocumentType",
            "DurationSeconds": "roleDurationSecondsType",
            "MinimumSessionTokenSize": "minimumSessionTokenSizeType",
        },
        required=(
            "RoleArn",
            "RoleSessionName",
            "WebIdentityToken",
        ),
    ),
    "DecodeAuthorizationMessageRequest": Shape(
        Kind.STRUCTURE,
        members={
            "EncodedMessage": "encodedMessageType",
        },
        required=("EncodedMessage",),
    ),
    "GetAccessKeyInfoRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AccessKeyId": "accessKeyIdType",
        },
        required=("AccessKeyId",),
    ),
    "GetCallerIdentityRequest": Shape(
        Kind.STRUCTURE,
    ),
    "GetFederationTokenRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Name": "userNameType",
            "Policy": "sessionPolicyDocumentType",
            "PolicyArns": "policyDescriptorListType",
            "DurationSeconds": "durationSecondsType",
            "Tags": "tagListType",
            "MinimumSessionTokenSize": "minimumSessionTokenSizeType",
        },
        required=("Name",),
    ),
    "GetSessionTokenRequest": Shape(
        Kind.STRUCTURE,
        members={
            "DurationSeconds": "durationSecondsType",
            "SerialNumber": "serialNumberType",
            "TokenCode": "tokenCodeType",
            "MinimumSessionTokenSize": "minimumSessionTokenSizeType",
        },
    ),
    "PolicyDescriptorType": Shape(
        Kind.STRUCTURE,
        members={
            "arn": "arnType",
        },
    ),
    "ProvidedContext": Shape(
        Kind.STRUCTURE,
        members={
            "ProviderArn": "arnType",
            "ContextAssertion": "contextAssertionType",
        },
    ),
    "ProvidedContextsListType": Shape(
        Kind.LIST,
        minimum=1,
        maximum=5,
        item="ProvidedContext",
    ),
    "Tag": Shape(
        Kind.STRUCTURE,
        members={
            "Key": "tagKeyType",
            "Value": "tagValueType",
        },
        required=(
            "Key",
            "Value",
        ),
    ),
    "accessKeyIdType": Shape(
        Kind.STRING,
        minimum=16,
        maximum=128,
        pattern="[\\w]*",
    ),
    "arnType": Shape(
        Kind.STRING,
        minimum=20,
        maximum=2048,
        pattern="[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u0085\\u00A0-\\uD7FF\\uE000-\\uFFFD\\u10000-\\u10FFFF]+",
    ),
    "clientTokenType": Shape(
        Kind.STRING,
        minimum=4,
        maximum=20000,
        is_sensitive=True,
    ),
    "contextAssertionType": Shape(
        Kind.STRING,
        minimum=4,
        maximum=3072,
    ),
    "durationSecondsType": Shape(
        Kind.INTEGER,
        minimum=900,
        maximum=129600,
    ),
    "encodedMessageType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=10240,
    ),
    "externalIdType": Shape(
        Kind.STRING,
        minimum=2,
        maximum=1224,
        pattern="[\\w+=,.@:\\/-]*",
    ),
    "minimumSessionTokenSizeType": Shape(
        Kind.INTEGER,
        minimum=0,
        maximum=4096,
    ),
    "policyDescriptorListType": Shape(
        Kind.LIST,
        item="PolicyDescriptorType",
    ),
    "roleDurationSecondsType": Shape(
        Kind.INTEGER,
        minimum=900,
        maximum=43200,
    ),
    "roleSessionNameType": Shape(
        Kind.STRING,
        minimum=2,
        maximum=64,
        pattern="[\\w+=,.@-]*",
    ),
    "serialNumberType": Shape(
        Kind.STRING,
        minimum=9,
        maximum=256,
        pattern="[\\w+=/:,.@-]*",
    ),
    "sessionPolicyDocumentType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=2048,
        pattern="[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    ),
    "sourceIdentityType": Shape(
        Kind.STRING,
        minimum=2,
        maximum=256,
        pattern="[\\w+=,.@-]*",
    ),
    "tagKeyListType": Shape(
        Kind.LIST,
        maximum=50,
        item="tagKeyType",
    ),
    "tagKeyType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+",
    ),
    "tagListType": Shape(
        Kind.LIST,
        maximum=50,
        item="Tag",
    ),
    "tagValueType": Shape(
        Kind.STRING,
        minimum=0,
        maximum=256,
        pattern="[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*",
    ),
    "tokenCodeType": Shape(
        Kind.STRING,
        minimum=6,
        maximum=6,
        pattern="[\\d]*",
    ),
    "unrestrictedSessionPolicyDocumentType": Shape(
        Kind.STRING,
        minimum=1,
        pattern="[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    ),
    "urlType": Shape(
        Kind.STRING,
        minimum=4,
        maximum=2048,
    ),
    "userNameType": Shape(
        Kind.STRING,
        minimum=2,
        maximum=32,
        pattern="[\\w+=,.@-]*",
    ),
}

STS = Model("sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", _OPERATIONS, _INPUTS, _SHAPES)
