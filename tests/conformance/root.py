"""What every `Root` must do. A test class inherits `RootContract` and provides a `root` fixture, and `another_root`."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms.api.secrets import SecretBytes
from kms.hsm import pkcs11
from kms.hsm.check_value import make_check_value, verify_check_value
from kms.hsm.interface import (
    NotOffered,
    Protection,
    Root,
    RootError,
    RootMisconfigured,
    RootUnavailable,
    UnwrapFailed,
)
from kms.keys.record_format import PROFILES

DIGEST = hashlib.sha256(b"checkpoint").digest()


def verify(public_key: bytes, digest: bytes, signature: bytes) -> None:
    """Raises InvalidSignature; with nothing of ours."""
    key = load_der_public_key(public_key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))


class RootContract:
    shared_calls = 300
    """By how many calls threads may share it; fewer for what is slow."""

    def test_identity_names_a_16_byte_id_a_profile_and_a_label(self, root: Root) -> None:
        assert len(root.identity.root_id) == 16
        assert root.identity.profile in PROFILES
        assert root.identity.label

    def test_a_generated_key_unwraps_to_the_same_32_bytes_each_time(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        key = root.unwrap_key(wrapped)
        assert len(key) == 32
        assert key == root.unwrap_key(wrapped)

    def test_generated_keys_differ(self, root: Root) -> None:
        wrapped = [root.generate_wrapped_key() for _ in range(8)]
        assert len(set(wrapped)) == 8
        assert len({root.unwrap_key(one).reveal() for one in wrapped}) == 8

    def test_every_flipped_byte_of_a_wrapped_key_is_refused(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        for position in range(len(wrapped)):
            changed = bytearray(wrapped)
            changed[position] ^= 0x01
            with pytest.raises(UnwrapFailed):
                root.unwrap_key(bytes(changed))
        root.unwrap_key(wrapped)  # and refusing did the root no harm

    @pytest.mark.parametrize("size", [0, 1, 8, 24, 32, 39, 41, 48, 4096])
    def test_bytes_of_another_length_are_refused(self, root: Root, size: int) -> None:
        with pytest.raises(UnwrapFailed):
            root.unwrap_key(bytes(size))

    def test_a_key_of_another_root_is_refused(self, root: Root, another_root: Root) -> None:
        foreign = another_root.generate_wrapped_key()
        with pytest.raises(UnwrapFailed):
            root.unwrap_key(foreign)

    def test_a_key_made_elsewhere_comes_back_as_it_was(self, root: Root) -> None:
        for key in (bytes(32), bytes(range(32)), b"\xff" * 32):
            assert root.unwrap_key(root.wrap_key(SecretBytes(key))).reveal() == key

    @pytest.mark.parametrize("size", [0, 16, 31, 33, 40, 64])
    def test_a_key_of_another_length_is_a_mistake_of_the_caller(self, root: Root, size: int) -> None:
        with pytest.raises(ValueError, match="32"):
            root.wrap_key(SecretBytes(bytes(size)))

    def test_protection_hsm_is_offered_or_refused_with_a_reason(self, root: Root) -> None:
        if root.strict_identity is None:
            with pytest.raises(NotOffered, match="protection hsm"):
                root.generate_wrapped_key(Protection.HSM)
            with pytest.raises(NotOffered, match="protection hsm"):
                root.wrap_key(SecretBytes(bytes(32)), Protection.HSM)
            return
        assert root.strict_identity.root_id == root.identity.root_id
        assert root.strict_identity.label != root.identity.label
        for wrapped in (
            root.generate_wrapped_key(Protection.HSM),
            root.wrap_key(SecretBytes(bytes(32)), Protection.HSM),
            root.wrap_key(SecretBytes(bytes(64)), Protection.HSM),
        ):
            with pytest.raises(UnwrapFailed):
                root.unwrap_key(wrapped)

    def test_a_signature_verifies_under_the_public_key_alone(self, root: Root, another_root: Root) -> None:
        signature = root.sign(DIGEST)
        assert len(signature) == 64
        verify(root.audit_public_key(), DIGEST, signature)
        with pytest.raises(InvalidSignature):
            verify(root.audit_public_key(), hashlib.sha256(b"changed").digest(), signature)
        with pytest.raises(InvalidSignature):
            verify(another_root.audit_public_key(), DIGEST, signature)

    def test_the_public_key_does_not_change(self, root: Root, another_root: Root) -> None:
        assert root.audit_public_key() == root.audit_public_key() != another_root.audit_public_key()

    @pytest.mark.parametrize("size", [0, 31, 33, 64])
    def test_what_is_no_digest_is_not_signed(self, root: Root, size: int) -> None:
        with pytest.raises(ValueError, match="32"):
            root.sign(bytes(size))

    @pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 140, 10_000])
    def test_mac_is_32_bytes_and_a_function_of_the_message(self, root: Root, size: int) -> None:
        message = bytes(range(256)) * (size // 256 + 1)
        tag = root.mac(message[:size])
        assert len(tag) == 32
        assert tag == root.mac(message[:size])
        assert tag != root.mac(message[:size] + b"\0")

    def test_mac_is_keyed(self, root: Root, another_root: Root) -> None:
        tag = root.mac(b"message")
        assert tag != another_root.mac(b"message")
        assert tag not in (hashlib.sha256(b"message").digest(), hmac.digest(b"", b"message", "sha256"))

    @pytest.mark.parametrize("length", [1, 12, 32, 1024])
    def test_random_has_the_length_asked_for(self, root: Root, length: int) -> None:
        assert len(root.random(length)) == length

    def test_random_differs(self, root: Root) -> None:
        assert len({root.random(16) for _ in range(16)}) == 16

    @pytest.mark.parametrize("length", [-1, 0, 1025])
    def test_random_out_of_bounds_is_a_mistake_of_the_caller(self, root: Root, length: int) -> None:
        with pytest.raises(ValueError, match="1024"):
            root.random(length)

    def test_check_passes(self, root: Root) -> None:
        root.check()

    def test_check_value_proves_the_root_that_made_it(self, root: Root) -> None:
        value = make_check_value(root)
        assert len(value) == len(root.generate_wrapped_key()) + 32
        verify_check_value(root, value)

    def test_a_foreign_root_is_named(self, root: Root, another_root: Root) -> None:
        value = make_check_value(another_root)
        with pytest.raises(RootMisconfigured, match=root.identity.root_id.hex()):
            verify_check_value(root, value)

    def test_a_foreign_root_key_beside_the_right_mac_key_is_found(self, root: Root, another_root: Root) -> None:
        wrapped = another_root.generate_wrapped_key()
        tag = root.mac(b"sealgate/v1/root-check" + root.identity.root_id + wrapped)
        with pytest.raises(RootMisconfigured, match="did not wrap"):
            verify_check_value(root, wrapped + tag)

    def test_a_changed_check_value_is_refused(self, root: Root) -> None:
        value = make_check_value(root)
        for changed in (value[:-1], value + b"\0", b"", value[:-1] + bytes([value[-1] ^ 1])):
            with pytest.raises(RootMisconfigured):
                verify_check_value(root, changed)

    def test_threads_may_share_it(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pkcs11, "BUSY_SECONDS", 60.0)  # eight sessions for twelve threads, on a busy machine
        wrapped = root.generate_wrapped_key()
        key, tag = root.unwrap_key(wrapped), root.mac(b"message")

        def use(_: int) -> bool:
            return root.unwrap_key(wrapped) == key and root.mac(b"message") == tag and len(root.random(8)) == 8

        with ThreadPoolExecutor(12) as threads:
            assert all(threads.map(use, range(self.shared_calls)))

    def test_a_closed_root_refuses_everything(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        root.close()
        root.close()
        for call in (
            lambda: root.unwrap_key(wrapped),
            root.generate_wrapped_key,
            lambda: root.mac(b"message"),
            lambda: root.random(1),
            lambda: root.wrap_key(SecretBytes(bytes(32))),
            lambda: root.sign(DIGEST),
            root.audit_public_key,
            root.check,
        ):
            with pytest.raises(RootUnavailable):
                call()

    def test_nothing_shows_keys(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        key = root.unwrap_key(wrapped)
        assert repr(key) == "SecretBytes()"
        changed = bytes([wrapped[0] ^ 1]) + wrapped[1:]
        with pytest.raises(RootError) as caught:
            root.unwrap_key(changed)
        assert changed.hex() not in str(caught.value)
        assert repr(changed) not in str(caught.value)
