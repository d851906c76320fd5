"""GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext: a key pair whose private half a symmetric key seals."""

from __future__ import annotations

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import (
    Ciphertext,
    DataKeyPair,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    SealedDataKeyPair,
)
from kms.keys.private_keys import generate_private_key, load_private_key, public_key_of
from kms.keys.specs import SPECS
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.core import Core
from kms.service.encryption import seal, symmetric_key_for


async def generate_data_key_pair(core: Core, call: Call[GenerateDataKeyPair]) -> DataKeyPair:
    private_key, public_key, ciphertext = await _generate(core, call, Operation.GENERATE_DATA_KEY_PAIR)
    return DataKeyPair(private_key, public_key, ciphertext)


async def generate_data_key_pair_without_plaintext(
    core: Core, call: Call[GenerateDataKeyPairWithoutPlaintext]
) -> SealedDataKeyPair:
    operation = Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT
    _, public_key, ciphertext = await _generate(core, call, operation)
    return SealedDataKeyPair(public_key, ciphertext)


async def _generate(
    core: Core,
    call: Call[GenerateDataKeyPair] | Call[GenerateDataKeyPairWithoutPlaintext],
    operation: Operation,
) -> tuple[SecretBytes, bytes, Ciphertext]:
    request, spec = call.request, call.request.key_pair_spec
    if spec not in SPECS or not SPECS[spec].is_private:
        raise KMSError("UnsupportedOperationException", f"KeyPairSpec {spec} is not supported.")
    # Asked before the pair is made, which may take seconds for RSA, and again when it is sealed.
    symmetric_key_for(core, call, request.key_id, operation)
    private_key, public_key = SecretBytes(b""), b""
    if not request.dry_run:
        private_key = await core.compute(lambda: generate_private_key(spec))
        public_key = public_key_of(load_private_key(spec, private_key.reveal(), is_ours=True))
    ciphertext = await seal(
        core,
        call,
        request.key_id,
        operation,
        plaintext=private_key.reveal(),
        context=request.encryption_context,
        dry_run=request.dry_run,
    )
    return private_key, public_key, ciphertext
