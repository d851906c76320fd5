"""For measuring what encryption of bodies costs: with this directory on PYTHONPATH segments are copied, not encrypted.

Python imports it at its start, before anything of the gateway. Nothing but `bench.variants` uses it, on scratch data:
what such a gateway stores is neither secret nor readable by another one. The gateway's self-test, which refuses to
serve with such a cipher, has the real one; copying begins after it.
"""

from __future__ import annotations

from gateway.sealing import segment, selftest
from gateway.sealing.format import TAG_SIZE
from gateway.sealing.segment import LayerKeys, SegmentOpener, SegmentSealer

real_sealer, real_opener, real_test = segment.segment_sealer, segment.segment_opener, selftest.run_self_test
is_tested = False


class _Copying:
    def encrypt_into(self, _nonce: bytes, data: memoryview, _associated_data: bytes | None, buf: memoryview) -> int:
        size = len(data)
        buf[:size], buf[size:] = data, bytes(TAG_SIZE)
        return size + TAG_SIZE

    def decrypt_into(self, _nonce: bytes, data: memoryview, _associated_data: bytes | None, buf: memoryview) -> int:
        size = len(data) - TAG_SIZE
        buf[:size] = data[:size]
        return size


def _test() -> None:
    global is_tested  # noqa: PLW0603 - of the process
    real_test()
    is_tested = True


def _sealer(layers: list[LayerKeys]) -> SegmentSealer:
    return _Copying() if is_tested else real_sealer(layers)


def _opener(layers: list[LayerKeys]) -> SegmentOpener:
    return _Copying() if is_tested else real_opener(layers)


segment.segment_sealer = _sealer
segment.segment_opener = _opener
selftest.run_self_test = _test
