"""Identity tokens as calls show them: which provider they are of, and how STS says that one is not believed."""

from __future__ import annotations

from iam.face.errors import IAMError
from iam.face.request import ParsedRequest
from iam.face.role_sessions import account_of_role
from iam.jose import JSONWebToken, NotAToken, parse_token
from iam.oidc_providers import OIDCProvider
from iam.store.interface import IdentityStore, NoSuchProvider
from iam.web_identity import KeysUnavailable, KeysWrong, RejectedToken, Rejection, issuer_of

NO_TOKEN = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"  # noqa: S105
NO_KEY = (
    "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)

_CODES = {Rejection.EXPIRED: "ExpiredTokenException", Rejection.NOT_YET: "IDPRejectedClaim"}


def shown_token(request: ParsedRequest, store: IdentityStore) -> tuple[JSONWebToken, OIDCProvider]:
    """The token that a request shows, not verified, and the provider of the role's account that it claims to be of.

    Raises IAMError: ValidationError, InvalidIdentityToken; StoreUnavailable.
    """
    account_id = account_of_role(request.text("RoleArn"))
    try:
        token = parse_token(request.text("WebIdentityToken"))
    except NotAToken:
        raise IAMError("InvalidIdentityToken", NO_TOKEN) from None
    issuer = issuer_of(token.claims) or ""
    name = issuer.partition("://")[2]
    try:
        provider = store.oidc_provider(account_id, f"arn:aws:iam::{account_id}:oidc-provider/{name}")
    except NoSuchProvider:
        provider = None
    if provider is None or provider.url != issuer:
        message = f"No OpenIDConnect provider found in your account for {issuer[:300]}"
        raise IAMError("InvalidIdentityToken", message)
    return token, provider


def token_refused(error: RejectedToken) -> IAMError:
    return IAMError(_CODES.get(error.rejection, "InvalidIdentityToken"), error.message)


def keys_refused(error: KeysUnavailable | KeysWrong) -> IAMError:
    """What was the matter is for the log alone: whoever asks has shown no credentials."""
    if isinstance(error, KeysUnavailable):
        return IAMError("IDPCommunicationError", "The identity provider could not be reached, or did not answer.")
    return IAMError("InvalidIdentityToken", NO_KEY)
