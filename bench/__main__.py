"""Measures a gateway, or any S3, and what the machine gives at the most.

    python -m bench [small listing large kms]             a gateway of this source tree, in a scratch directory
    python -m bench --endpoint URL --pid N [small ...]    another S3: credentials from the environment (AWS_...)

CPU time of the server's processes (`/proc/PID/stat`) is the figure to trust where others use the machine, too; what the
clock says is told beside it. Results go to bench/results/ as JSON, a table and plots. `--help` tells how sizes are set.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.endpoint import Endpoint
from bench.floors import bare_server, ciphers_and_digests, disk
from bench.load import Refused
from bench.machine import describe
from bench.measuring import measure
from bench.report import Report
from bench.workloads import FAMILIES, KIB, MIB, Bench, Case, Sizes
from tests.harness import Gateway, backing_environment
from tests.moto_server import ACCESS, BUCKET, moto_bucket
from tests.postgresql import start_postgresql

ENCRYPTIONS: dict[str, dict[str, str]] = {
    "none": {},
    "sse-s3": {"x-amz-server-side-encryption": "AES256"},
    "sse-kms": {"x-amz-server-side-encryption": "aws:kms"},
    "bucket-key": {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
    },
}


@contextmanager
def own_gateway(
    directory: Path, root: str, workers: int, index: str, blobs: str, settings: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """On PostgreSQL, whose processes count beside it, or on moto's S3, which does not count, where these say so.

    `settings` are of its environment, as "SEALGATE_STORAGE_FSYNC".
    """
    with ExitStack() as ending:
        database = None if index == "sqlite" else start_postgresql()
        environment = {} if blobs == "file" else ending.enter_context(_backing(directory))
        gateway = Gateway(
            directory / "data",
            root=root,
            workers=workers,
            index=database and database.url,
            is_first_of_several=database is not None,
            environment={**environment, **(settings or {})},
        )
        ending.callback(gateway.stop)
        gateway.init().start()
        processes = {"workers": gateway.children("gateway.worker"), "kmsd": gateway.children("kms.daemon")}
        if database is not None and database.process is not None:
            processes["postgresql"] = [database.process.pid]
        yield Endpoint("sealgate", gateway.endpoint_url, gateway.credentials, lambda: processes)


@contextmanager
def _backing(directory: Path) -> Iterator[dict[str, str]]:
    with moto_bucket(directory / "moto.log") as client:
        yield backing_environment(client.meta.endpoint_url, BUCKET, **ACCESS)


def endpoint_given(url: str, name: str, pids: list[int]) -> Endpoint:
    credentials = {each: os.environ[each] for each in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    return Endpoint(name, url, credentials, lambda: {"server": pids})


def run_floors(report: Report, sizes: Sizes, runs: int, settle: float, scratch: Path) -> None:
    report.floors = {**ciphers_and_digests(), **disk(scratch)}
    with bare_server() as server:
        bench = Bench(server.raw, sizes, {}, status_of_delete=200)
        count = sizes.operations
        put = bench.put("key", bytes(MIB), repeat=sizes.large_bytes // MIB)
        for case in (
            Case("floor: GET 4 KiB", lambda _: [bench.get("key")] * count, sizes.clients),
            Case(f"floor: PUT {sizes.large_bytes // MIB} MiB", lambda _: [put], 1, sizes.large_bytes),
        ):
            report.add(measure(server, "floor", case, runs, settle))


def run_families(
    report: Report, endpoint: Endpoint, bench: Bench, families: Sequence[str], runs: int, settle: float
) -> None:
    bench.make_bucket(bench.bucket)
    for family in families:
        for case in FAMILIES[family](bench):
            if family == "listing":
                case = replace(case, name=f"{case.name}, {bench.sizes.keys:_} keys")  # noqa: PLW2901 - that same case
            try:
                report.add(measure(endpoint, family, case, runs, settle))
            except Refused as error:
                report.fail(case.name, str(error))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="family", help=f"of {', '.join(FAMILIES)}; none: all")
    parser.add_argument("--operations", type=int, default=4000, help="requests of a run (4000)")
    parser.add_argument("--clients", type=int, default=32, help="connections at once, for small requests (32)")
    parser.add_argument(
        "--keys", type=int, action="append", help="keys in the bucket that is listed (10000); repeatable"
    )
    parser.add_argument("--large", type=int, default=256, metavar="MIB", help="size of large objects (256)")
    parser.add_argument("--body", type=int, default=4 * KIB, metavar="BYTES", help="size of small objects (4096)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each case, of which the median is told (3)")
    parser.add_argument("--settle", type=float, default=0.3, metavar="SECONDS", help="after each run (0.3)")
    parser.add_argument("--encryption", choices=ENCRYPTIONS, default="bucket-key", help="of what is put (bucket-key)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--root", default="file", choices=("auto", "file", "softhsm"), help="root of the keys (file)")
    parser.add_argument(
        "--index", default="sqlite", choices=("sqlite", "postgresql"), help="where its index is, and keys"
    )
    parser.add_argument("--blobs", default="file", choices=("file", "s3"), help="where its ciphertext is; s3: moto's")
    parser.add_argument("--scratch", type=Path, default=None, help="where the gateway's data goes (the system's)")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results", help="where the report goes")
    parser.add_argument("--endpoint", help="measure this S3 instead")
    parser.add_argument("--name", default="endpoint", help="what to call it")
    parser.add_argument("--pid", type=int, action="append", default=[], help="its process; children count; repeatable")
    parser.add_argument("--no-floors", action="store_true")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.families) - set(FAMILIES):
        parser.error(f"no such family: {', '.join(sorted(unknown))}")
    return asked


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    sizes = Sizes(asked.operations, asked.clients, 10_000, asked.large * MIB, asked.body)
    families = asked.families or [each for each in FAMILIES if each != "kms" or not asked.endpoint]
    report = Report(describe(), vars(asked))
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sealgate-bench-", dir=asked.scratch)))
        if not asked.no_floors:
            run_floors(report, sizes, asked.runs, asked.settle, scratch)
        if asked.endpoint:
            endpoint = endpoint_given(asked.endpoint, asked.name, asked.pid)
        else:
            endpoint = opened.enter_context(own_gateway(scratch, asked.root, asked.workers, asked.index, asked.blobs))
        encryption = ENCRYPTIONS[asked.encryption]
        for number, keys in enumerate(asked.keys or [10_000]):
            bench = Bench(endpoint.raw, replace(sizes, keys=keys), encryption)
            run_families(report, endpoint, bench, families if number == 0 else ["listing"], asked.runs, asked.settle)
    print(f"\nwritten: {report.write(asked.results)}")


if __name__ == "__main__":
    main()
