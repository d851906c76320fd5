"""Reads of what nobody has here: consoles, devices, certificates and machines have no part in this service.

Tools ask for them before they delete a user or a role, and are told that there is none. To make one is NotImplemented.
"""

from __future__ import annotations

from iam.entities import User
from iam.face.call import Call, Document, Handler
from iam.face.errors import IAMError
from iam.face.identities import permitted_role, permitted_user_or_self
from iam.face.paging import page


def _nothing(call: Call, name: str) -> Document:
    return page(call.request, name, (), str, str)


def none_of_user(operation: str, name: str) -> Handler:
    """A listing `name` of what a user, or the caller itself, has."""

    def answer(call: Call) -> Document:
        permitted_user_or_self(call, f"iam:{operation}")
        return _nothing(call, name)

    return answer


def none_of_account(operation: str, name: str, resource: str) -> Handler:
    """A listing `name` of what the account has; `resource` is how ARNs call it."""

    def answer(call: Call) -> Document:
        prefix = call.request.text_or_none("PathPrefix") or "/"
        call.require(f"iam:{operation}", f"arn:aws:iam::{call.account_id}:{resource}{prefix}")
        return _nothing(call, name)

    return answer


def list_instance_profiles_for_role(call: Call) -> Document:
    permitted_role(call, "iam:ListInstanceProfilesForRole")
    return _nothing(call, "InstanceProfiles")


def get_instance_profile(call: Call) -> Document:
    name = call.request.text("InstanceProfileName")
    arn = f"arn:aws:iam::{call.account_id}:instance-profile/{name}"
    call.require("iam:GetInstanceProfile", arn, told_as=f"instance profile {name}")
    raise IAMError("NoSuchEntity", f"Instance Profile {name} cannot be found.")


def list_saml_providers(call: Call) -> Document:
    """In one piece."""
    call.require("iam:ListSAMLProviders", "*")
    return {"SAMLProviderList": []}


def list_service_specific_credentials(call: Call) -> Document:
    action = "iam:ListServiceSpecificCredentials"
    if call.request.flag("AllUsers"):
        call.require(action, f"arn:aws:iam::{call.account_id}:user/*")
    else:
        permitted_user_or_self(call, action)
    return _nothing(call, "ServiceSpecificCredentials")


def get_login_profile(call: Call) -> Document:
    raise _no_login_profile(permitted_user_or_self(call, "iam:GetLoginProfile"))


def delete_login_profile(call: Call) -> None:
    raise _no_login_profile(permitted_user_or_self(call, "iam:DeleteLoginProfile"))


def _no_login_profile(user: User | None) -> IAMError:
    name = "" if user is None else f" for User {user.name}"
    return IAMError("NoSuchEntity", f"Login Profile{name} cannot be found.")
