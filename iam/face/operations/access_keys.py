"""CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey, GetAccessKeyLastUsed."""

from __future__ import annotations

from iam.credentials import AccessKey, Credential, new_access_key_id, new_secret
from iam.entities import User
from iam.face.authorisation import resource_tags
from iam.face.call import Call, Document, Value, timestamp
from iam.face.errors import IAMError
from iam.face.identities import permitted_user_or_self
from iam.face.paging import page
from iam.face.translate import ACCESS_KEYS_PER_USER
from iam.principals import root_principal
from iam.store.interface import NoSuchAccessKey

_STATUS = {True: "Active", False: "Inactive"}


def create_access_key(call: Call) -> Document:
    """The only answer that ever holds the secret."""
    user = permitted_user_or_self(call, "iam:CreateAccessKey")
    principal = root_principal(call.account_id) if user is None else user.principal
    made = Credential(new_access_key_id(), new_secret(), principal)
    call.store.create_access_key(made, call.now_us, at_most=ACCESS_KEYS_PER_USER)
    return {
        "AccessKey": {
            **_named(None if user is None else user.name),
            "AccessKeyId": made.access_key_id,
            "Status": _STATUS[True],
            "SecretAccessKey": made.secret.reveal().decode("ascii"),
            "CreateDate": timestamp(call.now_us),
        }
    }


def list_access_keys(call: Call) -> Document:
    user = permitted_user_or_self(call, "iam:ListAccessKeys")
    keys = call.store.access_keys_of(call.account_id, None if user is None else user.name)
    return page(call.request, "AccessKeyMetadata", keys, lambda key: key.access_key_id, _metadata)


def _metadata(key: AccessKey) -> Document:
    return {
        **_named(key.user_name),
        "AccessKeyId": key.access_key_id,
        "Status": _STATUS[key.is_active],
        "CreateDate": timestamp(key.created_us),
    }


def _named(user_name: str | None) -> dict[str, Value]:
    """The root user has no name."""
    return {} if user_name is None else {"UserName": user_name}


def update_access_key(call: Call) -> None:
    user = permitted_user_or_self(call, "iam:UpdateAccessKey")
    status = call.request.text("Status")
    if status not in _STATUS.values():
        raise IAMError("InvalidInput", f"An access key cannot be given the status {status}.")
    call.store.set_access_key_active(_key_of(call, user), status == _STATUS[True])


def delete_access_key(call: Call) -> None:
    user = permitted_user_or_self(call, "iam:DeleteAccessKey")
    call.store.delete_access_key(_key_of(call, user))


def _key_of(call: Call, user: User | None) -> str:
    """The access key that the request names, if it is this user's: whose it is never changes.

    Raises NoSuchAccessKey.
    """
    named = call.request.text("AccessKeyId")
    key = call.store.access_key(named)
    if (key.account_id, key.user_name) != (call.account_id, None if user is None else user.name):
        raise NoSuchAccessKey("the access key is another's", named)
    return named


def get_access_key_last_used(call: Call) -> Document:
    """A key that does not exist, or is another account's, is refused as one that may not be asked for."""
    action, named = "iam:GetAccessKeyLastUsed", call.request.text("AccessKeyId")
    try:
        key = call.store.access_key(named)
    except NoSuchAccessKey:
        key = None
    if key is None or key.account_id != call.account_id:
        arn = call.caller.principal.arn
        message = f"User: {arn} is not authorized to perform {action} on resource: access key {named}"
        raise IAMError("AccessDenied", message)
    if key.user_name is None:
        call.require(action, root_principal(call.account_id).arn)
    else:
        user = call.store.user(call.account_id, key.user_name)
        call.require(action, user.arn, resource_tags(user.tags), f"access key {named}")
    use = call.uses.last(named) or call.store.access_key_use(named)
    last: dict[str, Value] = {"ServiceName": "N/A", "Region": "N/A"}
    if use is not None:
        last = {"LastUsedDate": timestamp(use.used_us), "ServiceName": use.service, "Region": use.region or "N/A"}
    return {**_named(key.user_name), "AccessKeyLastUsed": last}
