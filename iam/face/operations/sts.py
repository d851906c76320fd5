"""What STS answers about whoever asks, about access keys, and about refusals."""

from __future__ import annotations

from iam.credentials import account_of_temporary_key
from iam.face.call import Call, Document
from iam.face.errors import IAMError
from iam.store.interface import NoSuchAccessKey


def get_caller_identity(call: Call) -> Document:
    """Needs no permission, and no policy can deny it (STS API Reference, GetCallerIdentity)."""
    principal = call.caller.principal
    return {"Arn": principal.arn, "UserId": principal.principal_id, "Account": principal.account_id}


def get_access_key_info(call: Call) -> Document:
    """The account of any access key, whoever asks; of temporary ones it stands in the id."""
    call.require("sts:GetAccessKeyInfo", "*")
    named = call.request.text("AccessKeyId")
    account_id = account_of_temporary_key(named)
    if account_id is None or not call.store.has_active_account(account_id):
        try:
            account_id = call.store.access_key(named).account_id
        except NoSuchAccessKey:
            raise IAMError("ValidationError", f"Access Key ID {named} is invalid.") from None
    return {"Account": account_id}


def decode_authorization_message(call: Call) -> Document:
    """Refusals here say in clear why, and none brings an encoded message: so that none that is shown is one."""
    call.require("sts:DecodeAuthorizationMessage", "*")
    raise IAMError("InvalidAuthorizationMessageException", "Message is not valid.")
