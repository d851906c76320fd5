"""The S3 client of AWS's Common Runtime, the fast one of aws-cli and SDKs: parts in parallel, both ways; a listing."""

import hashlib
import os
import re
import sys
from pathlib import Path

from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup
from awscrt.s3 import S3ChecksumAlgorithm, S3ChecksumConfig, S3ChecksumLocation, S3Client, S3RequestType

SECONDS = 120


def main(bucket: str, tree: str, down: str) -> None:
    group = EventLoopGroup(2)
    client = S3Client(
        bootstrap=ClientBootstrap(group, DefaultHostResolver(group)),
        region="us-east-1",
        credential_provider=AwsCredentialsProvider.new_static(
            os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        ),
        part_size=5 << 20,
        multipart_upload_threshold=5 << 20,
        tls_mode=1,
    )
    host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    checksum = S3ChecksumConfig(
        algorithm=S3ChecksumAlgorithm.CRC32C, location=S3ChecksumLocation.TRAILER, validate_response=True
    )

    def page(start: str) -> str:
        body = bytearray()
        client.make_request(
            request=HttpRequest(
                "GET", f"/{bucket}?list-type=2&max-keys=2&start-after={start}", HttpHeaders([("Host", host)])
            ),
            type=S3RequestType.DEFAULT,
            operation_name="ListObjectsV2",
            on_body=lambda chunk, **_: body.extend(chunk),
        ).finished_future.result(SECONDS)
        return body.decode()

    def listed() -> dict[str, int]:
        """Sizes by key, from pages of two keys each."""
        found, start = {}, ""
        while True:
            text = page(start)
            keys = re.findall(r"<Key>([^<]+)</Key>.*?<Size>([0-9]+)</Size>", text)
            found.update({key: int(size) for key, size in keys})
            if "<IsTruncated>false</IsTruncated>" in text:
                return found
            start = keys[-1][0]

    sizes = {}
    for path in (path for path in Path(tree).rglob("*") if path.is_file()):
        name = str(path.relative_to(tree))
        key = hashlib.sha256(name.encode()).hexdigest()  # the client wants its path percent-encoded: not what is tested
        headers = HttpHeaders([("Host", host), ("Content-Length", str(path.stat().st_size))])
        client.make_request(
            request=HttpRequest("PUT", f"/{bucket}/{key}", headers),
            type=S3RequestType.PUT_OBJECT,
            send_filepath=str(path),
            checksum_config=checksum,
        ).finished_future.result(SECONDS)
        target = Path(down) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        client.make_request(
            request=HttpRequest("GET", f"/{bucket}/{key}", HttpHeaders([("Host", host)])),
            type=S3RequestType.GET_OBJECT,
            recv_filepath=str(target),
            checksum_config=S3ChecksumConfig(validate_response=True),
        ).finished_future.result(SECONDS)
        sizes[key] = path.stat().st_size
    assert listed() == sizes
    for key in sizes:
        client.make_request(
            request=HttpRequest("DELETE", f"/{bucket}/{key}", HttpHeaders([("Host", host)])),
            type=S3RequestType.DEFAULT,
            operation_name="DeleteObject",
        ).finished_future.result(SECONDS)
    assert listed() == {}


main(*sys.argv[1:])
