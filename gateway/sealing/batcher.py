"""Cutting a body of unknown length into batches of whole segments, with the last one known to be the last."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.sealing.format import SEGMENT_SIZE, Buffer


class SegmentBatcher:
    """Collects arbitrary pieces into batches of `batch_segments` whole segments, for `BlobSealer.seal_into`.

    A full batch is held back until a byte of the next one arrives, so the final batch is never empty unless the body
    is. Every byte is copied once. Memory is `buffers` batches, whatever the length of the body: when feeding goes on,
    the newest `buffers - 1` batches stay as they are and the one before them is overwritten. So with one buffer a batch
    is done with before the iterator is asked again; with two, one can be sealed in a thread while the next one fills.

        for piece in body:
            for batch in batcher.feed(piece):
                seal(batch, final=False)
        seal(batcher.finish(), final=True)
    """

    def __init__(self, *, batch_segments: int = 8, segment_size: int = SEGMENT_SIZE, buffers: int = 1) -> None:
        if batch_segments < 1 or buffers < 1:
            raise ValueError("at least one segment and one buffer")
        self.batch_bytes = batch_segments * segment_size
        # The first buffer grows with the body (most bodies are small), the others are made when they are needed.
        self._buffers = [bytearray() for _ in range(buffers)]
        self._turn = 0
        self._filled = 0
        self._finished = False

    def feed(self, piece: Buffer) -> Iterator[memoryview]:
        """Take all of `piece`; yields each batch that is known not to be the last.

        Run the iterator to its end: what it has not reached is not taken.
        """
        if self._finished:
            raise RuntimeError("the body has ended")
        source = memoryview(piece).cast("B")
        while source:
            if self._filled == self.batch_bytes:
                yield self._take()
            room = self.batch_bytes - self._filled
            head = source[:room]
            self._store(head)
            source = source[len(head) :]

    def finish(self) -> memoryview:
        """The final batch: 1..batch_bytes bytes, or none if the body is empty."""
        if self._finished:
            raise RuntimeError("the body has ended")
        self._finished = True
        return self._take()

    def _store(self, data: memoryview) -> None:
        buffer = self._buffers[self._turn]
        end = self._filled + len(data)
        if end > len(buffer):
            # No view of this buffer can be alive before it was filled once, so growing it is allowed.
            buffer.extend(bytes(self._capacity(end) - len(buffer)))
        with memoryview(buffer) as view:  # assigning to the bytearray itself would copy `data` once more
            view[self._filled : end] = data
        self._filled = end

    def _capacity(self, needed: int) -> int:
        """At most four sizes of a buffer on its way to a whole batch."""
        size = self.batch_bytes
        while size // 8 >= needed and size > 4096:
            size //= 8
        return size

    def _take(self) -> memoryview:
        batch = memoryview(self._buffers[self._turn])[: self._filled]
        self._turn = (self._turn + 1) % len(self._buffers)
        self._filled = 0
        return batch
