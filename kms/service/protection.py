"""Where the bytes of a new key may be in the clear, as its CreateKey chooses: in kmsd for a lease, or nowhere.

Chosen once, by the tag `sealgate:protection` = `software` or `hsm`, or by a CustomKeyStoreId of these names: two ways
since tools differ in which they let their users set. A tag that is changed later changes nothing. Terms: docs/hsm.md.
"""

from __future__ import annotations

from kms.api.errors import KMSError
from kms.api.types import CreateKey
from kms.hsm.interface import Protection
from kms.keys.held_pairs import PAIR_KINDS
from kms.keys.record_format import SECRET_KEY_SPECS

TAG_KEY = "sealgate:protection"


def chosen_protection(request: CreateKey, default: str) -> Protection:
    """What the request chooses, or the default where it fits.

    Raises CustomKeyStoreNotFoundException or TagException for another value, ValidationException for two that are at
    odds, UnsupportedOperationException for a key spec that cannot be held.
    """
    by_tag = next((tag.value for tag in request.tags if tag.key == TAG_KEY), None)
    by_store = request.custom_key_store_id
    if by_store is not None:
        check_key_store(by_store)
    if by_tag is not None and by_tag not in set(Protection):
        raise KMSError("TagException", f"The tag {TAG_KEY} is {' or '.join(Protection)}.")
    if None not in {by_tag, by_store} and by_tag != by_store:
        raise KMSError("ValidationException", f"CustomKeyStoreId {by_store} contradicts the tag {TAG_KEY}.")
    protection = Protection(by_store or by_tag or default)
    # Whether some token holds such keys; whether this one does, it shows when one is made.
    may_be_held = request.key_spec in SECRET_KEY_SPECS or request.key_spec in PAIR_KINDS
    if protection is Protection.SOFTWARE or may_be_held:
        return protection
    if by_store is by_tag is None:
        return Protection.SOFTWARE  # a default is for the keys that it fits
    raise KMSError(
        "UnsupportedOperationException",
        f"A key of spec {request.key_spec} cannot be used inside the HSM: its protection can only be software.",
    )


def check_key_store(key_store_id: str) -> None:
    """Raises CustomKeyStoreNotFoundException for what names no protection."""
    if key_store_id not in set(Protection):
        raise KMSError("CustomKeyStoreNotFoundException", f"CustomKeyStore {key_store_id} does not exist.")
