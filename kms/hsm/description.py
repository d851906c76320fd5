"""What making a token or a root leaves behind for the operator and the key store to remember; nothing is secret."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kms.hsm.interface import NotOffered, Root


@dataclass(frozen=True, slots=True)
class TokenDescription:
    """A token that was just initialised. `config` is SoftHSM's configuration file, None for other modules."""

    label: str
    serial: str
    module: Path
    config: Path | None


@dataclass(frozen=True, slots=True)
class RootDescription:
    """A root that was just made.

    `root_id` is 16 bytes; `label` and `mac_label` are the CKA_LABELs; `profile` is how it wraps (kms/hsm/profiles);
    `serial` is the token's ("" for a file root);
    `check_value` goes to the key store and comes back as `expected_check_value`; `uri` addresses exactly this root
    (module, token, serial, label and id), for the configuration file ("" for a file root); `audit_public_key` is the
    public half of audit-sign (SPKI, DER), None where there is none.
    """

    root_id: bytes
    label: str
    mac_label: str
    profile: str
    serial: str
    check_value: bytes
    uri: str
    audit_public_key: bytes | None


def audit_public_key_or_none(root: Root) -> bytes | None:
    """The public half of audit-sign, None where the root has none to sign with. Raises RootError."""
    try:
        return root.audit_public_key()
    except NotOffered:
        return None
