"""GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial, and the end of material that expires.

Imported material is refused from the moment it expires (`StoredKey.at`); the sweep destroys its record later. Material
is recognised by a hash, and never kept once it expired or was deleted.
"""

from __future__ import annotations

import hmac
import logging
import os
from dataclasses import replace
from typing import Any
from uuid import UUID

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import (
    DOES_NOT_EXPIRE,
    EXPIRES,
    DeleteImportedKeyMaterial,
    GetParametersForImport,
    ImportedMaterial,
    ImportKeyMaterial,
    ImportParameters,
    KeyMetadata,
)
from kms.hsm.interface import Protection
from kms.keys.import_token import ALGORITHMS, ImportTerms, InvalidToken, make_token, open_token
from kms.keys.imported import (
    WRAPPING_KEY_BITS,
    NotUnwrapped,
    WrongMaterial,
    check_of_material,
    checked_material,
    make_wrapping_key,
    unwrap_material,
)
from kms.keys.specs import SYMMETRIC_DEFAULT
from kms.keys.state import Operation
from kms.keys.wrapping import make_record
from kms.service.call import Call
from kms.service.core import Core
from kms.store.interface import KeyConflict
from kms.store.records import StoredKey, StoredVersion

log = logging.getLogger(__name__)

EXTERNAL = "EXTERNAL"
NEW_KEY_MATERIAL = "NEW_KEY_MATERIAL"
EXISTING_KEY_MATERIAL = "EXISTING_KEY_MATERIAL"

_DAY_US = 86_400 * 1_000_000
TOKEN_LIFE_US = _DAY_US
MAX_LIFE_US = 365 * _DAY_US
"""Of imported material, from its import (API Reference, ValidTo)."""

_ATTEMPTS = 5
_SWEEP_BATCH = 100
_DELETE_EXPIRED = "DeleteExpiredKeyMaterial"


async def get_parameters_for_import(core: Core, call: Call[GetParametersForImport]) -> ImportParameters:
    """A wrapping key of its own for each answer, whose private half travels in the token, sealed by the root."""
    request = call.request
    key = _external_key(core, call, request.key_id, Operation.GET_PARAMETERS_FOR_IMPORT)
    if request.wrapping_algorithm not in ALGORITHMS:
        raise _unsupported(f"WrappingAlgorithm {request.wrapping_algorithm} is not supported.")
    if request.wrapping_key_spec not in WRAPPING_KEY_BITS:
        raise _unsupported(f"WrappingKeySpec {request.wrapping_key_spec} is not supported.")
    if key.metadata.key_spec.startswith("RSA_") and request.wrapping_algorithm.startswith("RSAES_"):
        raise _unsupported(f"{request.wrapping_algorithm} cannot wrap a key of spec {key.metadata.key_spec}.")
    pkcs8, public_key = await core.compute(lambda: make_wrapping_key(request.wrapping_key_spec))
    expires_us = core.clock_us() + TOKEN_LIFE_US
    terms = ImportTerms(key.key_bytes, key.metadata.region, request.wrapping_algorithm, expires_us)
    token = await core.root.call(lambda root: make_token(root, terms, pkcs8))
    return ImportParameters(key.metadata.key_arn, token, public_key, expires_us)


async def import_key_material(core: Core, call: Call[ImportKeyMaterial]) -> ImportedMaterial:
    """The first material, the same again, or new material that waits for RotateKeyOnDemand."""
    request = call.request
    key = _external_key(core, call, request.key_id, Operation.IMPORT_KEY_MATERIAL)
    _check_expiration(request, core.clock_us())
    _check_import_type(request, key.metadata)
    material = await _unwrap(core, key, request)
    check = await core.compute(lambda: check_of_material(key.key_bytes, material))
    for _ in range(_ATTEMPTS):
        key = _external_key(core, call, request.key_id, Operation.IMPORT_KEY_MATERIAL)
        try:
            material_id = await _put(core, key, request, material, check)
        except KeyConflict:
            core.cache.forget()
            continue
        return ImportedMaterial(key.metadata.key_arn, material_id)
    raise KMSError("KMSInternalException", "The key is being changed by others; try again.")


async def delete_imported_key_material(core: Core, call: Call[DeleteImportedKeyMaterial]) -> ImportedMaterial:
    """Without effect on material that is gone already. Material that waits for its rotation goes with its version."""
    request = call.request
    key = _external_key(core, call, request.key_id, Operation.DELETE_IMPORTED_KEY_MATERIAL)
    metadata = key.metadata
    versions = core.store.versions(metadata.key_id)
    if request.material_id is None:
        wanted = [version for version in versions if version.version == key.current_version]
    else:
        wanted = [version for version in versions if version.material_id == request.material_id]
        if not wanted:
            raise KMSError("NotFoundException", f"Key material '{request.material_id}' does not exist")
    if not wanted:
        return ImportedMaterial(metadata.key_arn, None)
    version = wanted[0]
    if version.record is not None:
        await core.change(lambda: core.store.remove_material(metadata.key_id, version.version))
        core.leases.drop(metadata.key_id)
    return ImportedMaterial(metadata.key_arn, version.material_id)


async def expire_material(core: Core, *, is_job: bool = False) -> int:
    """Destroy the material whose time is over; returns how much. It was refused since then.

    As a job, this is left to one node of several.

    The audit trail says so before it is done, as of keys (`states.destroy_expired_keys`).
    """
    expired = 0
    now_us = core.clock_us()
    while True:
        core.recorder.require_writable()
        due = core.store.keys_of_expired_material(now_us, _SWEEP_BATCH)
        if due and is_job and not await core.take_job("expire material"):
            return expired
        for key in due:
            await core.recorder.announce(_DELETE_EXPIRED, key.metadata.key_arn)
        keys = await core.change(lambda: core.store.expire_material(now_us, _SWEEP_BATCH), is_visible=False)
        if not keys:
            return expired
        core.advance_epoch()
        for key in keys:
            core.leases.drop(key.metadata.key_id)
            log.warning("imported material of key %s expired and was destroyed", key.metadata.key_arn)
            core.recorder.done(_DELETE_EXPIRED, key.metadata.key_arn)
        expired += len(keys)


def takes_import(key_spec: str) -> bool:
    """Whether keys of this spec can have imported material: all but ML-DSA, as at AWS."""
    return not key_spec.startswith("ML_DSA")


def _external_key(core: Core, call: Call[Any], named: str, operation: Operation) -> StoredKey:
    """The key, made for import: checked before its state, since others refuse in any."""
    key = core.find(call, named, operation)
    core.authorise(call, operation.action, key)
    if key.metadata.origin != EXTERNAL:
        raise _unsupported(
            f"{key.metadata.key_arn} origin is {key.metadata.origin} which is not valid for this operation."
        )
    core.admit(call, key, operation)
    return key


def _check_expiration(request: ImportKeyMaterial, now_us: int) -> None:
    valid_to_us = request.valid_to_us
    if request.expiration_model == DOES_NOT_EXPIRE:
        if valid_to_us is not None:
            raise _invalid(f"A validTo date cannot be set if the ExpirationModel is {DOES_NOT_EXPIRE}")
    elif valid_to_us is None:
        raise _invalid(f"A validTo date must be set if the ExpirationModel is {EXPIRES}")
    elif not now_us < valid_to_us <= now_us + MAX_LIFE_US:
        raise _invalid("The validTo date must be in the future, and not more than 365 days from now")


def _check_import_type(request: ImportKeyMaterial, metadata: KeyMetadata) -> None:
    if metadata.key_spec != SYMMETRIC_DEFAULT and any((request.import_type, request.description, request.material_id)):
        raise _invalid(
            "ImportType, KeyMaterialDescription and KeyMaterialId can only be set for symmetric encryption keys"
        )
    if request.import_type == NEW_KEY_MATERIAL and metadata.multi_region and not metadata.is_primary:
        raise _unsupported(f"{metadata.key_arn} is not a multi-region primary key.")
    if request.import_type == NEW_KEY_MATERIAL and request.material_id is not None:
        raise _invalid(f"A keyMaterialId cannot be set if the ImportType is {NEW_KEY_MATERIAL}")


async def _unwrap(core: Core, key: StoredKey, request: ImportKeyMaterial) -> SecretBytes:
    """The material that was sent, of the key's spec. Raises KMSError for whatever is wrong with token or material."""
    try:
        terms, pkcs8 = await core.root.call(lambda root: open_token(root, request.import_token))
    except InvalidToken:
        raise KMSError("InvalidImportTokenException") from None
    if (terms.key_id, terms.region) != (key.key_bytes, key.metadata.region):
        raise KMSError("InvalidImportTokenException")
    if terms.expires_us <= core.clock_us():
        raise KMSError("ExpiredImportTokenException")
    try:
        material = await core.compute(lambda: unwrap_material(pkcs8, terms.algorithm, request.encrypted_key_material))
        return await core.compute(lambda: checked_material(key.metadata.key_spec, material))
    except NotUnwrapped:
        raise KMSError("InvalidCiphertextException") from None
    except WrongMaterial as error:
        raise _incorrect(f"{error}.") from None


async def _put(core: Core, key: StoredKey, request: ImportKeyMaterial, material: SecretBytes, check: bytes) -> str:
    """Answers the id of the material. Raises KeyConflict when others imported or deleted the key meanwhile."""
    metadata, now_us = key.metadata, core.clock_us()
    versions = core.store.versions(metadata.key_id)
    newest = versions[-1].version if versions else 0
    known = next((v for v in versions if v.material_check and hmac.compare_digest(v.material_check, check)), None)
    version = known or StoredVersion(
        metadata.key_id, newest + 1, os.urandom(32).hex(), None, now_us, material_check=check
    )
    if _is_new(request, versions):
        _check_new(key, known, versions, version.material_id)
    else:
        _check_existing(known, request.material_id)
    record = await core.root.call(
        lambda root: make_record(
            root,
            UUID(bytes=key.key_bytes),
            version.version,
            created_us=now_us,
            key_spec=metadata.key_spec,
            key_usage=metadata.key_usage,
            origin=EXTERNAL,
            protection=Protection(metadata.protection),
            material=material,
        )
    )
    description = version.description if request.description is None else request.description
    put = replace(version, record=record, valid_to_us=request.valid_to_us, description=description)
    await core.change(lambda: core.store.put_material(put, expected_newest=newest))
    return version.material_id


def _is_new(request: ImportKeyMaterial, versions: list[StoredVersion]) -> bool:
    if request.import_type is None:
        return not versions
    return request.import_type == NEW_KEY_MATERIAL


def _check_new(key: StoredKey, known: StoredVersion | None, versions: list[StoredVersion], material_id: str) -> None:
    """New material waits for its rotation, and one at a time does. The one that waits may be sent again."""
    pending = [version for version in versions if version.version > key.current_version]
    if known is not None and known not in pending:
        raise _incorrect("The key material is already associated with the KMS key.")
    if pending and known is None:
        raise KMSError(
            "KMSInvalidStateException",
            f"New key material (id: {material_id}) cannot be imported into KMS key {key.metadata.key_arn}, because"
            f" another key material (id: {pending[0].material_id}) is pending rotation.",
        )


def _check_existing(known: StoredVersion | None, material_id: str | None) -> None:
    if known is None or material_id not in {None, known.material_id}:
        raise _incorrect("The key material is not the one that was imported into the KMS key before.")


def _incorrect(message: str) -> KMSError:
    return KMSError("IncorrectKeyMaterialException", message)


def _invalid(message: str) -> KMSError:
    return KMSError("ValidationException", message)


def _unsupported(message: str) -> KMSError:
    return KMSError("UnsupportedOperationException", message)
