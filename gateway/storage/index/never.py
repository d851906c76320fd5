"""What an index never says: for the self-checks of both engines, of what no seal covers."""

from __future__ import annotations

from typing import Final

from gateway.storage.index.checked_times import STEP_US
from gateway.storage.index.version_columns import LATEST

NEVER: Final = {
    # In numbers without bounds: damaged ones may be too large for those of 64 bits.
    "versions that do not stand in the place that their time gives them": f"""
        FROM object_version WHERE ahead_us < 0 OR vsort != CAST({LATEST} AS NUMERIC) - modified_us - ahead_us
    """,
    "versions whose list of blobs is not where they say": """
        FROM object_version v WHERE has_parts != EXISTS (SELECT 1 FROM object_parts p WHERE p.row_uid = v.row_uid)
    """,
    "versions of another number of blobs than they say": """
        FROM object_version v WHERE blob_count != CASE
            WHEN has_parts THEN (SELECT length(p.blob_ids) / 16.0 FROM object_parts p WHERE p.row_uid = v.row_uid)
            WHEN blob_id IS NULL THEN 0 ELSE 1 END
    """,
    "blobs without references that are not condemned, or condemned with some": """
        FROM blob WHERE (refs = 0) != (condemned_us IS NOT NULL) OR refs < 0
    """,
    "blobs condemned at a time that no clock gives": f"FROM blob WHERE condemned_us % {STEP_US} != 0",
    "inline blobs that are not where they say, or of another length": """
        FROM blob b LEFT JOIN inline_blob i USING (blob_id)
        WHERE is_inline != (i.data IS NOT NULL) OR is_inline AND length(i.data) != stored_bytes
    """,
    "uploads that name another one where they say that their key was changed": """
        FROM multipart_upload WHERE key_changed != upload_id
    """,
    "keys of the service made at a time that no clock gives": f"FROM key_epoch WHERE created_us % {STEP_US} != 0",
}
"""What is wrong, in words, and which rows are then."""
