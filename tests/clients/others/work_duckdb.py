"""DuckDB with httpfs: Parquet written by COPY, in parts where it is large, read by range requests, globbed, deleted."""

import os
import sys
from importlib.resources import files
from pathlib import Path

import duckdb


def main(bucket: str, tree: str, down: str) -> None:
    connection = duckdb.connect()
    (extension,) = Path(str(files("duckdb_extension_httpfs"))).rglob("httpfs.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    connection.execute(
        f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}',
            SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}', REGION 'us-east-1', URL_STYLE 'path', USE_SSL false,
            ENDPOINT '{os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")}')"""
    )
    connection.execute(
        f"""COPY (SELECT range AS id, range % 3 AS part, repeat('x', 100) AS text FROM range(100000))
            TO 's3://{bucket}/numbers' (FORMAT parquet, PARTITION_BY part)"""
    )
    count, total = connection.execute(
        f"SELECT count(*), sum(id) FROM read_parquet('s3://{bucket}/numbers/*/*.parquet') WHERE part = 1"
    ).fetchone()
    assert (count, total) == (33333, sum(range(1, 100000, 3)))
    Path(down).mkdir(parents=True, exist_ok=True)
    connection.execute(f"COPY (SELECT 1 AS one) TO 's3://{bucket}/one.csv'")
    assert connection.execute(f"SELECT one FROM 's3://{bucket}/one.csv'").fetchall() == [(1,)]
    # 24 MB. Parts are as long as the longest file would need: 80 MB by default, 5 MiB at least.
    connection.execute("SET s3_uploader_max_filesize = '50GB'")
    connection.execute(
        f"""COPY (SELECT range AS id, hash(range) AS one, hash(range + 1000000000) AS other FROM range(1000000))
            TO 's3://{bucket}/large.parquet' (FORMAT parquet, COMPRESSION uncompressed)"""
    )
    query = f"SELECT count(*), sum(id), count(DISTINCT one) FROM 's3://{bucket}/large.parquet'"
    assert connection.execute(query).fetchone() == (1000000, sum(range(1000000)), 1000000)
    # It lists and deletes what it finds there before it writes.
    connection.execute(
        f"""COPY (SELECT 1 AS id, 7 AS part) TO 's3://{bucket}/numbers'
            (FORMAT parquet, PARTITION_BY part, OVERWRITE)"""
    )


main(*sys.argv[1:])
