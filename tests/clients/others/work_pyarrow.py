"""pyarrow's S3FileSystem (the C++ SDK): a data set of Parquet files written, filtered and read, streams, removal."""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs


def main(bucket: str, tree: str, down: str) -> None:
    s3 = fs.S3FileSystem(
        endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"), scheme="http", region="us-east-1"
    )
    fs.copy_files(tree, f"{bucket}/tree", source_filesystem=fs.LocalFileSystem(), destination_filesystem=s3)
    fs.copy_files(f"{bucket}/tree", down, source_filesystem=s3, destination_filesystem=fs.LocalFileSystem())
    found = s3.get_file_info(fs.FileSelector(f"{bucket}/tree", recursive=True))
    sizes = {each.path.removeprefix(f"{bucket}/tree/"): each.size for each in found if each.type == fs.FileType.File}
    assert sizes == {
        str(path.relative_to(tree)): path.stat().st_size for path in Path(tree).rglob("*") if path.is_file()
    }

    table = pa.table({"year": [2024, 2025, 2026] * 1000, "value": list(range(3000))})
    ds.write_dataset(table, f"{bucket}/set", filesystem=s3, format="parquet", partitioning=["year"])
    read = ds.dataset(f"{bucket}/set", filesystem=s3, format="parquet", partitioning=["year"])
    assert read.to_table(filter=ds.field("year") == 2025)["value"].to_pylist() == list(range(1, 3000, 3))

    block = bytes(range(256)) * 4096
    with s3.open_output_stream(f"{bucket}/stream") as stream:  # 11 MiB: in parts
        for _ in range(11):
            stream.write(block)
    with s3.open_input_file(f"{bucket}/stream") as file:
        file.seek(7 << 20)
        assert file.read(1 << 20) == block
    s3.move(f"{bucket}/stream", f"{bucket}/moved")
    s3.delete_file(f"{bucket}/moved")
    s3.delete_dir_contents(bucket)
    assert s3.get_file_info(fs.FileSelector(bucket, recursive=True)) == []


main(*sys.argv[1:])
