"""OpenID Connect providers: CreateOpenIDConnectProvider, and what is done with them."""

from __future__ import annotations

from iam.face.authorisation import requested_tags, resource_tags, tag_keys
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError
from iam.face.identities import new_tags, tag_list, tag_page
from iam.oidc_providers import OIDCProvider, check_provider_url, check_thumbprint, is_provider_arn
from iam.policy.variables import Context
from iam.store.interface import NoSuchProvider
from iam.tags import regard_case

_NOTHING: Context = {}


def create_provider(call: Call) -> Document:
    """Nothing is asked of the provider: its keys are fetched when a token of it is shown."""
    request = call.request
    tags = new_tags(call, regard_case)
    provider = OIDCProvider(
        call.account_id,
        _url(call),
        call.now_us,
        request.texts("ClientIDList"),
        _thumbprints(call),
        tags,
    )
    call.require("iam:CreateOpenIDConnectProvider", provider.arn, requested_tags(tags))
    if tags:
        call.require("iam:TagOpenIDConnectProvider", provider.arn, requested_tags(tags))
    call.store.create_oidc_provider(provider)
    told: dict[str, Value] = {"OpenIDConnectProviderArn": provider.arn}
    return {**told, "Tags": tag_list(tags)} if tags else told


def get_provider(call: Call) -> Document:
    provider = _permitted(call, "iam:GetOpenIDConnectProvider")
    document: dict[str, Value] = {
        "Url": provider.name,
        "ClientIDList": list(provider.client_ids),
        "ThumbprintList": list(provider.thumbprints),
        "CreateDate": timestamp(provider.created_us),
    }
    return {**document, "Tags": tag_list(provider.tags)} if provider.tags else document


def list_providers(call: Call) -> Document:
    call.require("iam:ListOpenIDConnectProviders", "*")
    providers: list[Value] = [{"Arn": each.arn} for each in call.store.oidc_providers(call.account_id)]
    return {"OpenIDConnectProviderList": providers}


def delete_provider(call: Call) -> None:
    provider = _permitted(call, "iam:DeleteOpenIDConnectProvider")
    call.store.delete_oidc_provider(call.account_id, provider.arn)


def add_client_id(call: Call) -> None:
    """One that is there already stays."""
    provider = _permitted(call, "iam:AddClientIDToOpenIDConnectProvider")
    call.store.add_client_id(call.account_id, provider.arn, call.request.text("ClientID"))


def remove_client_id(call: Call) -> None:
    """One that is not there is gone already."""
    provider = _permitted(call, "iam:RemoveClientIDFromOpenIDConnectProvider")
    call.store.remove_client_id(call.account_id, provider.arn, call.request.text("ClientID"))


def update_thumbprint(call: Call) -> None:
    """In place of those that it had."""
    provider = _permitted(call, "iam:UpdateOpenIDConnectProviderThumbprint")
    call.store.set_thumbprints(call.account_id, provider.arn, _thumbprints(call))


def tag_provider(call: Call) -> None:
    tags = new_tags(call, regard_case)
    provider = _permitted(call, "iam:TagOpenIDConnectProvider", requested_tags(tags))
    call.store.tag_oidc_provider(call.account_id, provider.arn, tags)


def untag_provider(call: Call) -> None:
    keys = call.request.texts("TagKeys")
    provider = _permitted(call, "iam:UntagOpenIDConnectProvider", tag_keys(keys))
    call.store.untag_oidc_provider(call.account_id, provider.arn, keys)


def list_provider_tags(call: Call) -> Document:
    return tag_page(call, _permitted(call, "iam:ListOpenIDConnectProviderTags").tags)


def _permitted(call: Call, action: str, keys: Context = _NOTHING) -> OIDCProvider:
    """The provider that the request names, which the caller may do `action` to.

    One that does not exist is asked for all the same. Raises NoSuchProvider, and IAMError: AccessDenied, InvalidInput.
    """
    arn = call.request.text("OpenIDConnectProviderArn")
    if not is_provider_arn(arn):
        raise IAMError("InvalidInput", f"Invalid Open ID Connect provider ARN: {arn[:300]}")
    try:
        provider = call.store.oidc_provider(call.account_id, arn)
    except NoSuchProvider:
        call.require(action, arn, keys)
        raise
    call.require(action, provider.arn, {**resource_tags(provider.tags), **keys})
    return provider


def _url(call: Call) -> str:
    try:
        return check_provider_url(call.request.text("Url"))
    except ValueError:
        raise IAMError("ValidationError", "Invalid Open ID Connect Provider URL") from None


def _thumbprints(call: Call) -> tuple[str, ...]:
    thumbprints = call.request.texts("ThumbprintList")
    try:
        return tuple(map(check_thumbprint, thumbprints))
    except ValueError:
        raise IAMError("InvalidInput", "A thumbprint of a certificate has 40 hex digits.") from None
