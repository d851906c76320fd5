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
    "DecodeAuthorizationMessage": "DecodeAuthorizationMessageRequest",
    "GetAccessKeyInfo": "GetAccessKeyInfoRequest",
    "GetCallerIdentity": "GetCallerIdentityRequest",
    "GetFederationToken": "GetFederationTokenRequest",
    "GetSessionToken": "GetSessionTokenRequest",
}

_SHAPES: dict[str, Shape] = {
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
    "minimumSessionTokenSizeType": Shape(
        Kind.INTEGER,
        minimum=0,
        maximum=4096,
    ),
    "policyDescriptorListType": Shape(
        Kind.LIST,
        item="PolicyDescriptorType",
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
    "userNameType": Shape(
        Kind.STRING,
        minimum=2,
        maximum=32,
        pattern="[\\w+=,.@-]*",
    ),
}

STS = Model("sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", _OPERATIONS, _INPUTS, _SHAPES)
