"""What every `Root` must do. A test class inherits `RootContract` and provides a `root` fixture, and `another_root`."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor

import pytest

from kms.hsm.check_value import CHECK_VALUE_SIZE, make_check_value, verify_check_value
from kms.hsm.interface import Root, RootError, RootMisconfigured, RootUnavailable, UnwrapFailed


class RootContract:
    def test_identity_names_a_16_byte_id_a_profile_and_a_label(self, root: Root) -> None:
        assert len(root.identity.root_id) == 16
        assert root.identity.profile in ("kw", "file")
        assert root.identity.label

    def test_a_generated_key_unwraps_to_the_same_32_bytes_each_time(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        assert len(wrapped) == 40
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
        assert len(value) == CHECK_VALUE_SIZE
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

    def test_threads_may_share_it(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        key, tag = root.unwrap_key(wrapped), root.mac(b"message")

        def use(_: int) -> bool:
            return root.unwrap_key(wrapped) == key and root.mac(b"message") == tag and len(root.random(8)) == 8

        with ThreadPoolExecutor(12) as threads:
            assert all(threads.map(use, range(300)))

    def test_a_closed_root_refuses_everything(self, root: Root) -> None:
        wrapped = root.generate_wrapped_key()
        root.close()
        root.close()
        for call in (
            lambda: root.unwrap_key(wrapped),
            root.generate_wrapped_key,
            lambda: root.mac(b"message"),
            lambda: root.random(1),
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
