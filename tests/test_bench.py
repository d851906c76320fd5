"""The benchmark runs, small, against a gateway of its own; and its load generator takes no refusal for an answer."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from pathlib import Path

import pytest

from bench import audit_trail, completion, in_turn, kms_calls, memory, transfers, variants
from bench.__main__ import main
from bench.endpoint import Endpoint
from bench.load import Prepared, Refused, drive
from bench.peers import __main__ as peers
from bench.workloads import Bench, Case, Sizes
from gateway.operations.multipart import parts

CASES = {"PUT 4 KiB", "GET 4 KiB", "GET 4 KiB, one client", "HEAD", "mixed", "DELETE", "KMS GenerateDataKey"}


@pytest.mark.slow
def test_a_small_run_measures_each_case_and_writes_its_report(tmp_path: Path) -> None:
    results = tmp_path / "results"
    sizes = ["--operations", "40", "--clients", "4", "--runs", "1", "--keys", "50", "--large", "2", "--settle", "0"]
    main(["small", "listing", "large", "kms", "--no-floors", *sizes, "--results", str(results)])
    [report] = results.iterdir()
    document = json.loads((report / "results.json").read_text())
    assert document["failures"] == {}
    found = {each["name"]: each for each in document["results"]}
    assert found.keys() >= CASES
    assert all(
        each["operations"] and each["whole_ms"]["p50"] >= each["first_byte_ms"]["p50"] for each in found.values()
    )
    assert found["PUT 4 KiB"]["peak_mib"]["workers"] > 10
    assert {each.name for each in report.iterdir()} >= {"results.md", "small.svg", "large.svg"}


@pytest.mark.slow
def test_peers_are_measured_in_turn(tmp_path: Path) -> None:
    sizes = ["--operations", "20", "--clients", "2", "--runs", "2", "--settle", "0", "--keys", "1"]
    peers.main(["small", "--only", "Sealgate", "--only", "moto", *sizes, "--results", str(tmp_path / "results")])
    [report] = (tmp_path / "results").iterdir()
    servers = json.loads((report / "results.json").read_text())["servers"]
    assert servers.keys() == {"Sealgate", "moto"}
    for server in servers.values():
        assert {each["name"] for each in server["results"]} >= {"PUT 4 KiB", "GET 4 KiB", "DELETE"}
    table = (report / "results.md").read_text()
    assert re.search(r"^\| PUT 4 KiB \| \d+ µs \(workers \d+\), \d+/s \| \d+ µs, \d+/s \|$", table, re.MULTILINE)


@pytest.mark.slow
def test_what_is_not_encrypted_is_measured_beside_what_is(tmp_path: Path) -> None:
    sizes = ["--operations", "16", "--clients", "2", "--runs", "1", "--settle", "0"]
    variants.main(["encryption", "small", *sizes, "--results", str(tmp_path / "results")])
    [report] = (tmp_path / "results").iterdir()
    servers = json.loads((report / "results.json").read_text())["servers"]
    assert servers.keys() == {"SSE-S3", "SSE-KMS", "bucket key"}
    assert all(not server["failures"] and len(server["results"]) == 6 for server in servers.values())


@pytest.mark.slow
def test_clients_transfer_what_they_were_given(tmp_path: Path) -> None:
    """Compared by `transfers` itself."""
    transfers.main(["--size", "9", "--runs", "1", "--json", str(tmp_path / "found")])
    found = json.loads((tmp_path / "found").read_text())["transfers"]
    assert found.keys() == {f"{name} {way}" for name in ("aws-cli", "boto3", "awscrt") for way in ("up", "down")}
    assert all(each["mib_per_second"] > 0 for each in found.values())


def test_completions_of_uploads_are_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MIN_PART_BYTES", parts.MIN_PART_BYTES)  # put back afterwards
    completion.main(["--parts", "3", "--runs", "2"])
    assert re.search(r"^3 parts: 0\.\d+ s, 0\.\d+ s of CPU", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.slow
def test_calls_of_the_kms_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    kms_calls.main(["--seconds", "0.1", "--calls", "4"])
    audit_trail.main(["--seconds", "0.1", "--calls", "4"])
    told = re.findall(r"^(.+?) +(\d+)/s   CPU: ", capsys.readouterr().out, re.MULTILINE)
    ways = ("KeyService {}", "kmsd socket {}", "HTTP {}", *(f"{{}}, {name}" for name in audit_trail.VARIANTS))
    assert [name for name, _ in told] == [way.format(verb) for way in ways for verb in ("GenerateDataKey", "Decrypt")]
    assert all(int(rate) > 0 for _, rate in told)


@pytest.mark.slow
def test_memory_of_streams_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main(["--streams", "2", "--size", "1"])
    told = capsys.readouterr().out
    assert 30 < int(re.findall(r"^at rest, after its start: (\d+) MiB$", told, re.MULTILINE)[0]) < 300
    assert re.findall(r"^2 (.+): \d+ -> \d+ MiB, -?\d+\.\d\d each$", told, re.MULTILINE) == [
        "downloads nobody reads on",
        "downloads",
        "uploads",
    ]


def test_a_case_that_one_server_refuses_has_no_figures_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(in_turn.FAMILIES, "one", lambda bench: iter([Case("GET", lambda _: [GET], 1)]))
    monkeypatch.setattr(Bench, "make_bucket", lambda *_: None)

    def contender(name: str, answer: bytes) -> in_turn.Contender:
        host, port = answering(answer)
        credentials = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
        endpoint = Endpoint(name, f"http://{host}:{port}", credentials, lambda: {"server": [os.getpid()]})
        return in_turn.Contender(name, "", endpoint, Bench(endpoint.raw, Sizes(), {}))

    one = contender("one", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    other = contender("other", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    in_turn.run_cases([one, other], ["one"], runs=1, settle=0)
    assert one.results["GET"].operations == 1
    assert not other.results
    assert "403, not 200" in other.failures["GET"]
    assert "| none |" in in_turn.table([one, other])


def answering(*answers: bytes) -> tuple[str, int]:
    """A server of one connection that gives these answers in turn, in pieces."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as connection:
            for answer in answers:
                connection.recv(65_536)
                connection.sendall(answer[:30])
                connection.sendall(answer[30:])

    threading.Thread(target=serve, daemon=True).start()
    address: tuple[str, int] = listening.getsockname()
    return address


GET = Prepared(b"GET / HTTP/1.1\r\n\r\n")


def test_answers_end_where_they_say() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    run = drive(answering(whole, chunked, whole), [GET, GET, GET], connections=1)
    assert run.count == 3
    assert run.received_bytes == 2 * len(whole) + len(chunked)


def test_a_server_that_closes_is_connected_to_anew() -> None:
    """Once it said so, and once it did not."""
    listening = socket.create_server(("127.0.0.1", 0))
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\nhi"

    def serve() -> None:
        with listening:
            for header in (b"Connection: close\r\n", b"", b""):
                with listening.accept()[0] as connection:
                    connection.recv(65_536)
                    connection.sendall(whole % header)

    threading.Thread(target=serve, daemon=True).start()
    assert drive(listening.getsockname(), [GET, GET, GET], connections=1).count == 3


def test_another_status_ends_the_run() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nAccessDenied"
    with pytest.raises(Refused, match="403, not 200"):
        drive(answering(refusal), [GET], connections=1)
