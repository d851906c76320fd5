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
    "GetCallerIdentity": "GetCallerIdentityRequest",
}

_SHAPES: dict[str, Shape] = {
    "GetCallerIdentityRequest": Shape(
        Kind.STRUCTURE,
    ),
}

STS = Model("sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", _OPERATIONS, _INPUTS, _SHAPES)
