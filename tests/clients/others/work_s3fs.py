"""fsspec's S3 file system (aiobotocore): a tree up and down, a multipart write, seeks, a walk, a move, a removal."""

import os
import sys
from pathlib import Path

import s3fs


def main(bucket: str, tree: str, down: str) -> None:
    fs = s3fs.S3FileSystem(
        endpoint_url=os.environ["AWS_ENDPOINT_URL"], config_kwargs={"s3": {"addressing_style": "path"}}
    )
    fs.put(f"{tree}/", f"{bucket}/tree/", recursive=True)
    names = {str(path.relative_to(tree)): path.read_bytes() for path in Path(tree).rglob("*") if path.is_file()}
    listed = {path.removeprefix(f"{bucket}/tree/"): fs.size(path) for path in fs.find(f"{bucket}/tree")}
    assert listed == {name: len(data) for name, data in names.items()}, listed
    fs.get(f"{bucket}/tree/", f"{down}/", recursive=True)

    block = bytes(range(256)) * 4096
    with fs.open(f"{bucket}/written", "wb", block_size=5 << 20) as file:
        for _ in range(11):
            file.write(block)
    with fs.open(f"{bucket}/written", "rb", block_size=1 << 20) as file:
        file.seek(7 << 20)
        assert file.read(1 << 20) == block
        file.seek(-256, 2)
        assert file.read() == bytes(range(256))
    fs.mv(f"{bucket}/written", f"{bucket}/moved/to")
    assert fs.exists(f"{bucket}/moved/to") and not fs.exists(f"{bucket}/written")
    assert sorted(fs.ls(f"{bucket}")) == [f"{bucket}/moved", f"{bucket}/tree"]
    fs.rm(bucket + "/tree", recursive=True)
    fs.rm(bucket + "/moved", recursive=True)
    assert fs.find(bucket) == []


main(*sys.argv[1:])
