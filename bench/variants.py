"""What many clients, a second worker and each kind of encryption cost: this gateway beside itself, in turn.

    python -m bench.variants clients|workers|encryption|keys|files [small listing large kms]

- clients: one worker, 16 connections and 1000. Budget: as many requests a second within 20 %.
- workers: one worker and two. Where cores are scarce what counts is CPU time an operation: the same for both, and
  little of it in a process that both share, is twice the throughput where there are cores for twice the work.
- encryption: SSE-S3 (the default), SSE-KMS with a data key each, SSE-KMS under a bucket key. There is no gateway that
  does not encrypt; what the cipher takes of a body is the floor "AES-256-GCM" of `python -m bench`.
- keys: a bucket of 10 thousand keys, of 100 thousand and so on (`--keys`), each in a gateway of its own; `listing` is
  the family for it. Budget: the most within 20 % of the fewest.
- files: blobs written into files by threads of the kernel (io_uring), by threads of the gateway, and bodies of up to
  128 KiB kept in the index; `--body` above 16 KiB says of what size.

With `--index postgresql` each gateway has a database of its own.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.__main__ import ENCRYPTIONS, own_gateway
from bench.endpoint import Endpoint
from bench.in_turn import Contender, run_cases, write
from bench.workloads import FAMILIES, KIB, MIB, Bench, Sizes

REQUESTS_OF_A_CLIENT = 10
"""At least, of each of many in a run: to be connected costs the worker about 60 us once."""

KINDS = ("clients", "workers", "encryption", "keys", "files")


@contextmanager
def contenders_of(
    kind: str, scratch: Path, sizes: Sizes, many: int, many_keys: list[int], index: str
) -> Iterator[list[Contender]]:
    with ExitStack() as opened:

        def gateway(name: str, workers: int = 1, **settings: str) -> Endpoint:
            (scratch / name).mkdir()
            return opened.enter_context(own_gateway(scratch / name, "file", workers, index, "file", settings))

        def contender(
            name: str, note: str, endpoint: Endpoint, of: Sizes = sizes, sse: str = "bucket-key"
        ) -> Contender:
            return Contender(name, note, endpoint, Bench(endpoint.raw, of, ENCRYPTIONS[sse]))

        if kind == "clients":
            one = gateway("one")
            # Else what is measured of a crowd is how it connects.
            sizes = replace(sizes, operations=max(sizes.operations, REQUESTS_OF_A_CLIENT * many))
            yield [
                contender(f"{count} clients", "one worker", one, replace(sizes, clients=count))
                for count in (sizes.clients, many)
            ]
        elif kind == "workers":
            yield [
                contender(name, "and one kmsd", gateway(name, workers))
                for workers, name in ((1, "one worker"), (2, "two workers"))
            ]
        elif kind == "keys":
            yield [
                contender(f"{keys:_} keys", "one worker", gateway(str(keys)), replace(sizes, keys=keys))
                for keys in many_keys
            ]
        elif kind == "files":
            yield [
                contender("io_uring", "the default", gateway("ring")),
                contender("threads", "where there is no io_uring", gateway("threads", SEALGATE_STORAGE_IO_URING="0")),
                contender("index", "up to 128 KiB", gateway("index", SEALGATE_STORAGE_INLINE_BYTES="131072")),
            ]
        else:
            one = gateway("one")
            yield [
                contender("SSE-S3", "the default", one, sse="none"),
                contender("SSE-KMS", "a data key of the KMS for each object", one, sse="sse-kms"),
                contender("bucket key", "SSE-KMS under a bucket key", one),
            ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument(
        "families", nargs="*", metavar="family", help=f"of {', '.join(FAMILIES)}; none: small or listing"
    )
    parser.add_argument("--operations", type=int, default=4000, help="requests of a run (4000)")
    parser.add_argument("--clients", type=int, default=16, help="connections at once (16)")
    parser.add_argument("--many", type=int, default=1000, help="connections at once, of a crowd (1000)")
    parser.add_argument("--keys", default="10000,100000", help="in the bucket that is listed; several (10000,100000)")
    parser.add_argument("--body", type=int, default=4 * KIB, metavar="BYTES", help="size of small objects (4096)")
    parser.add_argument("--large", type=int, default=256, metavar="MIB", help="size of large objects (256)")
    parser.add_argument(
        "--index", default="sqlite", choices=("sqlite", "postgresql"), help="where the index is, and keys"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each case, of which the median is told (5)")
    parser.add_argument("--settle", type=float, default=0.3, metavar="SECONDS", help="after each run (0.3)")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args(arguments)
    many_keys = [int(each) for each in asked.keys.split(",")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    families = asked.families or ["listing" if asked.kind == "keys" else "small"]
    sizes = Sizes(asked.operations, asked.clients, many_keys[0], asked.large * MIB, asked.body)
    with (
        tempfile.TemporaryDirectory(prefix="sealgate-variants-") as scratch,
        contenders_of(asked.kind, Path(scratch), sizes, asked.many, many_keys, asked.index) as contenders,
    ):
        try:
            run_cases(contenders, families, asked.runs, asked.settle)
        finally:  # what there is, there is
            write(asked.results, contenders, {**vars(asked), "results": ""})


if __name__ == "__main__":
    main()
