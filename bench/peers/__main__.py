"""This gateway beside other servers of S3, by the same requests on the same machine, in one run and in turn.

    python -m bench.peers [small listing large] [--only radosgw ...] [--programs DIRECTORY ...]

Starts a gateway of this source tree and each peer whose programs are on the PATH (or in a --programs directory), all of
them at once, in scratch directories. Of each case every server answers one run before any answers its next one, so that
whatever else the machine does falls on all. How peers are installed: docs/performance.md, "Beside others".
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.__main__ import ENCRYPTIONS, own_gateway
from bench.in_turn import Contender, run_cases, write
from bench.peers import ceph, small_servers, swift
from bench.peers.peer import Peer
from bench.workloads import FAMILIES, KIB, MIB, Bench, Sizes

SEALGATE = Peer(
    "Sealgate",
    "SSE-KMS under a bucket key, durable and audited; one worker and kmsd count",
    (),
    lambda directory: own_gateway(directory, "file", 1, "sqlite", "file"),
    ENCRYPTIONS["bucket-key"],
)
PEERS = (SEALGATE, ceph.PEER, swift.PEER, small_servers.RCLONE, small_servers.MOTO, small_servers.LOCALSTACK)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    families = [each for each in FAMILIES if each != "kms"]
    parser.add_argument("families", nargs="*", metavar="family", help=f"of {', '.join(families)}; none: all")
    parser.add_argument("--only", action="append", choices=[each.name for each in PEERS], help="repeatable")
    parser.add_argument(
        "--programs", action="append", default=[], metavar="DIRECTORY", help="before the PATH; repeatable"
    )
    parser.add_argument("--operations", type=int, default=1000, help="requests of a run (1000)")
    parser.add_argument("--clients", type=int, default=16, help="connections at once, for small requests (16)")
    parser.add_argument("--keys", type=int, default=3000, help="keys in the bucket that is listed (3000)")
    parser.add_argument("--large", type=int, default=256, metavar="MIB", help="size of large objects (256)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each case, of which the median is told (3)")
    parser.add_argument("--settle", type=float, default=0.5, metavar="SECONDS", help="after each run (0.5)")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "results")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    os.environ["PATH"] = os.pathsep.join([*asked.programs, os.environ["PATH"]])
    sizes = Sizes(asked.operations, asked.clients, asked.keys, asked.large * MIB, 4 * KIB)
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sealgate-peers-")))
        contenders = []
        for peer in PEERS:
            if asked.only and peer.name not in asked.only:
                continue
            if peer.missing:
                print(f"{peer.name} is not measured: no {', '.join(peer.missing)}", flush=True)
                continue
            directory = scratch / peer.name
            directory.mkdir()
            try:
                endpoint = opened.enter_context(peer.start(directory))
            except (AssertionError, subprocess.SubprocessError) as error:
                print(f"{peer.name} is not measured, it did not start: {error}", flush=True)
                continue
            print(f"{peer.name} serves", flush=True)
            contenders.append(Contender(peer.name, peer.note, endpoint, Bench(endpoint.raw, sizes, dict(peer.sse))))
        try:
            run_cases(contenders, asked.families or families, asked.runs, asked.settle)
        finally:  # what there is, there is
            write(asked.results, contenders, {**vars(asked), "programs": "", "results": ""})


if __name__ == "__main__":
    main()
