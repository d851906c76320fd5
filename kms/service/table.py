"""Which handler answers which request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kms.api import types as t
from kms.service import aliases, data_keys, encryption, grants, keys, policies, states
from kms.service.call import Call
from kms.service.core import Core

Handler = Callable[[Core, Call[Any]], Awaitable[Any]]

HANDLERS: Mapping[type[t.Request[Any]], Handler] = {
    t.CancelKeyDeletion: states.cancel_key_deletion,
    t.CreateAlias: aliases.create_alias,
    t.CreateGrant: grants.create_grant,
    t.CreateKey: keys.create_key,
    t.Decrypt: encryption.decrypt,
    t.DeleteAlias: aliases.delete_alias,
    t.DescribeKey: keys.describe_key,
    t.DisableKey: states.disable_key,
    t.EnableKey: states.enable_key,
    t.Encrypt: encryption.encrypt,
    t.GenerateDataKey: data_keys.generate_data_key,
    t.GenerateDataKeyWithoutPlaintext: data_keys.generate_data_key_without_plaintext,
    t.GenerateRandom: data_keys.generate_random,
    t.GetKeyPolicy: policies.get_key_policy,
    t.ListAliases: aliases.list_aliases,
    t.ListGrants: grants.list_grants,
    t.ListKeyPolicies: policies.list_key_policies,
    t.ListKeys: keys.list_keys,
    t.ListRetirableGrants: grants.list_retirable_grants,
    t.PutKeyPolicy: policies.put_key_policy,
    t.ReEncrypt: encryption.re_encrypt,
    t.RetireGrant: grants.retire_grant,
    t.RevokeGrant: grants.revoke_grant,
    t.ScheduleKeyDeletion: states.schedule_key_deletion,
    t.UpdateAlias: aliases.update_alias,
}
"""A row for every request of `kms.api.types`."""
