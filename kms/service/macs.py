"""GenerateMac and VerifyMac (FIPS 198-1): in kmsd, where an HMAC costs microseconds and no thread, or in the HSM."""

from __future__ import annotations

import hmac

from kms.api.errors import KMSError
from kms.api.types import GenerateMac, Mac, VerifyMac
from kms.keys.specs import GENERATE_VERIFY_MAC
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import check_length, dry_run_succeeded
from kms.service.core import Core
from kms.service.key_use import key_of_usage
from kms.store.records import StoredKey

MAX_MESSAGE_BYTES = 4096
_HASHES = {f"HMAC_SHA_{bits}": f"sha{bits}" for bits in (224, 256, 384, 512)}


async def generate_mac(core: Core, call: Call[GenerateMac]) -> Mac:
    key, mac = await _compute(core, call, Operation.GENERATE_MAC)
    return Mac(mac, key.metadata.key_arn)


async def verify_mac(core: Core, call: Call[VerifyMac]) -> str:
    """The key's ARN. Raises KMSInvalidMacException, whose message is empty."""
    key, mac = await _compute(core, call, Operation.VERIFY_MAC)
    if not hmac.compare_digest(mac, call.request.mac):
        raise KMSError("KMSInvalidMacException")
    return key.metadata.key_arn


async def _compute(
    core: Core, call: Call[GenerateMac] | Call[VerifyMac], operation: Operation
) -> tuple[StoredKey, bytes]:
    request = call.request
    check_length("message", len(request.message), 1, MAX_MESSAGE_BYTES)

    def find() -> tuple[StoredKey, int]:
        usage, algorithm = GENERATE_VERIFY_MAC, request.mac_algorithm
        key = key_of_usage(core, call, request.key_id, operation, usage=usage, algorithm=algorithm)
        return key, key.current_version

    find()
    if request.dry_run:
        raise dry_run_succeeded()
    message = request.message.reveal()
    derived = await core.derive(find, lambda key, version: message, _HASHES[request.mac_algorithm])
    return derived.key, derived.secret
