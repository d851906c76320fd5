"""Rows of versions as they were sealed before rows had blocks: docs/formats/object.md, "Index row"."""

from __future__ import annotations

import os
import struct
from dataclasses import replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.operations.documents import ObjectDocument, encode
from gateway.sealing.format import lp
from gateway.sealing.row import RowSealer
from gateway.storage.index.records import ObjectRow


def sealed_as_before(sealer: RowSealer, row: ObjectRow, document: ObjectDocument) -> ObjectRow:
    """With a key of its own, all columns in the associated data, and no digest."""
    wrap, numbers = row.wrap, struct.pack(">Q", row.revision)
    columns = (
        b"object",
        row.bucket_id,
        row.key,
        row.version_id.encode(),
        struct.pack(">6q", row.kind, row.size, row.modified_us, row.part_count, wrap.mode, wrap.key_version or 0),
        (wrap.key_arn or "").encode(),
        wrap.wrapped,
        b"".join(row.blob_ids),
        row.manifest_id or b"",
    )
    salt = os.urandom(16)
    mac = sealer._row_macs[sealer._current].copy()
    mac.update(row.row_uid + numbers + salt)
    sealed = AESGCM(mac.finalize()).encrypt(bytes(12), encode(document), lp(columns))
    return replace(row, sealed=struct.pack(">I", sealer._current) + numbers + salt + sealed)
