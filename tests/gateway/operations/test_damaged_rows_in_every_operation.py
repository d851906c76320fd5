"""Every operation on a bucket, object or upload whose row was changed: refused, told to operators, and nothing done.

Operations are taken from the table: a new one is in here, and must refuse, unless a name below says why not.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from gateway.operations.table import Target
from tests.clients.checks import base64_of
from tests.clients.test_odd_values import OPERATIONS, UPLOADED, request
from tests.gateway.gateway_in_process import Answer, InProcessGateway, in_process_gateway
from tests.gateway.operations.uploads import begin, stored_files
from tests.gateway.underneath import index_path

KEY = "k"
LISTS = {"ListObjects", "ListObjectsV2", "ListObjectVersions"}
OF_UPLOADS = {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "ListParts", "ListMultipartUploads"}
TAKING_ITS_PLACE = {"PutObject", "CreateMultipartUpload", "DeleteObject"}
"""What puts another object in the place of the damaged one, or takes it away, does not look at it."""
OF_OBJECTS = {name for name, row in OPERATIONS.items() if row.target is Target.OBJECT and "uploadId" not in row.query}
NOT_OF_ONE_BUCKET = {"CreateBucket"}

REFUSING = {
    "bucket": OPERATIONS.keys() - NOT_OF_ONE_BUCKET,
    "object_version": (OF_OBJECTS - TAKING_ITS_PLACE) | LISTS | {"UploadPartCopy"},
    "multipart_upload": OF_UPLOADS,
}
"""By table. An upload that is aborted is not looked at, either."""

CHANGE = """
    UPDATE {} SET sealed = CAST(substr(sealed, 1, 30) || zeroblob(16) || substr(sealed, 47) AS BLOB)
    WHERE bucket_id = (SELECT bucket_id FROM bucket WHERE name = ?)
"""
TABLES = ("bucket", "object_version", "object_parts", "multipart_upload", "multipart_part", "blob")


async def right_values(gateway: InProcessGateway, name: str, bucket: str) -> dict[str, str]:
    """A bucket with an object and an upload, and what a right request about them says."""
    assert (await gateway.call("PUT", f"/{bucket}")).status == 200
    await gateway.call("DELETE", f"/{bucket}", query={"publicAccessBlock": ""})
    if name != "RenameObject":  # which there is in buckets without ACLs alone
        rule = b"<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
        rules = b"<OwnershipControls>%b</OwnershipControls>" % rule
        await gateway.call("PUT", f"/{bucket}", query={"ownershipControls": ""}, body=rules)
    assert (await gateway.call("PUT", f"/{bucket}/{KEY}", body=b"body")).status == 200
    upload = await begin(gateway, f"/{bucket}/{UPLOADED}")
    part = await upload.put(1, b"part")
    right = {
        "uploadId": upload.upload_id,
        "partNumber": "1",
        "id": "one",
        "etag": part.headers["ETag"],
        "x-amz-acl": "private",
        "x-amz-object-attributes": "ETag",
        "x-amz-rename-source": f"{bucket}/{KEY}",
    }
    return right | ({"x-amz-copy-source": f"{bucket}/{KEY}"} if "Copy" in name else {})


async def ask(gateway: InProcessGateway, name: str, bucket: str, right: dict[str, str]) -> Answer:
    method, target, headers, body = request(name, bucket, right)
    path, _, query = target.partition("?")
    path = path.replace("/absent", f"/{KEY}")
    body = body.replace(b"<Key>x</Key>", f"<Key>{KEY}</Key>".encode())
    if body:
        headers = {**headers, "content-md5": base64_of(hashlib.md5(body, usedforsecurity=False).digest())}
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    gateway.events.clear()
    return await gateway.call(method, path, query=parameters, headers=headers, body=body)


@pytest.mark.parametrize("table", REFUSING)
async def test_a_changed_row_is_acted_on_by_no_operation(tmp_path: Path, table: str) -> None:
    """What does not look at the row does what it always does, or says that there is nothing to be done."""
    async with in_process_gateway(tmp_path, inline_limit_bytes=0) as gateway:
        with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
            for number, name in enumerate(OPERATIONS):
                bucket = f"bucket-{number}"
                right = await right_values(gateway, name, bucket)
                with index:
                    changed = index.execute(CHANGE.format(table), (bucket,))
                assert changed.rowcount == 1
                before = [index.execute(f"SELECT * FROM {each}").fetchall() for each in TABLES], stored_files(gateway)
                answer = await ask(gateway, name, bucket, right)
                after = [index.execute(f"SELECT * FROM {each}").fetchall() for each in TABLES], stored_files(gateway)
                if name in REFUSING[table]:
                    assert (answer.status, len(gateway.events)) == (500, 1), name
                    assert OPERATIONS[name].method == "HEAD" or answer.code == "InternalError", name
                    assert before == after, name
                else:
                    assert (answer.status < 500, gateway.events) == (True, []), name
