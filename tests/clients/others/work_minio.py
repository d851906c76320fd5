"""MinIO's SDK for Python: files up and down, multipart, ranges, metadata, copies, presigned URLs, removal of many."""

import io
import os
import sys
import urllib.request
from pathlib import Path

from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject


def main(bucket: str, tree: str, down: str) -> None:
    client = Minio(
        os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        secure=False,
        region="us-east-1",
    )
    assert client.bucket_exists(bucket_name=bucket)
    files = [path for path in Path(tree).rglob("*") if path.is_file()]
    for path in files:
        client.fput_object(bucket_name=bucket, object_name=f"tree/{path.relative_to(tree)}", file_path=str(path))
    listed = {
        each.object_name: each.size for each in client.list_objects(bucket_name=bucket, prefix="tree/", recursive=True)
    }
    assert listed == {f"tree/{path.relative_to(tree)}": path.stat().st_size for path in files}, listed
    for name in listed:
        client.fget_object(bucket_name=bucket, object_name=name, file_path=f"{down}/{name.removeprefix('tree/')}")

    block = bytes(range(256)) * 4096
    data = block * 11
    client.put_object(
        bucket_name=bucket,
        object_name="streamed",
        data=io.BytesIO(data),
        length=-1,
        part_size=5 << 20,
        metadata={"colour": "blue"},
    )
    stat = client.stat_object(bucket_name=bucket, object_name="streamed")
    assert stat.size == len(data) and stat.metadata["x-amz-meta-colour"] == "blue"
    response = client.get_object(bucket_name=bucket, object_name="streamed", offset=7 << 20, length=1 << 20)
    assert response.read() == block
    response.close()
    client.copy_object(
        bucket_name=bucket, object_name="copied", source=CopySource(bucket_name=bucket, object_name="streamed")
    )
    url = client.presigned_get_object(bucket_name=bucket, object_name="copied")
    with urllib.request.urlopen(url) as response:
        assert response.read() == data
    everything = [
        DeleteObject(name=each.object_name) for each in client.list_objects(bucket_name=bucket, recursive=True)
    ]
    assert list(client.remove_objects(bucket_name=bucket, delete_object_list=everything)) == []
    assert list(client.list_objects(bucket_name=bucket, recursive=True)) == []


main(*sys.argv[1:])
