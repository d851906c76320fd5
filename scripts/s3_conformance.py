"""Run ceph/s3-tests against a gateway of our own, and write the passes by group to docs/conformance.md.

    git clone https://github.com/ceph/s3-tests DIRECTORY
    .venv/bin/python scripts/s3_conformance.py DIRECTORY

The suite gets a virtual environment of its own (DIRECTORY/.venv), the gateway a data directory that is gone afterwards.
Tests that AWS itself fails (`fails_on_aws`) are left out. The module is also the plugin that the suite's pytest loads,
to record each result with its markers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from s3_conformance_reasons import reason_of

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "conformance.md"
DIVERGENCES = REPOSITORY / "docs" / "divergences.md"
DIVERGENCES_MARK = "## Tests of ceph/s3-tests that fail"
"""What follows it, to the end of the page, is written by this script."""
FILES = ("s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py")
RESULTS = "SEALGATE_CONFORMANCE_RESULTS"
RGW_ONLY = ("appendobject", "bucket_logging", "cloud_restore", "cloud_transition", "iam_tenant", "target_by_bucket")
"""Markers of RGW's own extensions."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tests whose name matches `names` (a regular expression) or that have one of `markers`.

    Those of a group that is not `served` are not run: the gateway says NotImplemented to what they are about.
    """

    title: str
    names: str
    markers: frozenset[str] = frozenset()
    served: bool = True

    def takes(self, name: str, markers: frozenset[str]) -> bool:
        return bool(self.markers & markers) or re.match(self.names, name) is not None


GROUPS = (
    Group("Lifecycle", r"test_lifecycle", frozenset({"lifecycle", "lifecycle_expiration"}), served=False),
    Group("Object Lock", r"test_object_lock", frozenset({"object_lock"}), served=False),
    Group("Bucket logging", r"test_.*bucket_logging", frozenset({"bucket_logging"}), served=False),
    Group(
        "SSE-C", r"test_encrypt|test_.*sse_c|test_put_obj_enc_conflict|test_copy_(part_)?enc\[(.*sse-c)", served=False
    ),
    Group("SSE-S3, SSE-KMS, bucket encryption", r"test_sse_|test_.*_enc\[|test_.*bucket_encryption"),
    Group("Browser forms (POST)", r"test_post_object"),
    Group("Tagging", r"test_.*tag", frozenset({"tagging"})),
    Group("CORS", r"test_.*cors"),
    Group("Conditional writes", r"test_.*(_if_|if_none)", frozenset({"conditional_write"})),
    Group(
        "Policies, ACLs, ownership, public access, anonymous",
        r"test_.*(acl|policy|policystatus|public|ownership|owner|anon|access_bucket|grant|block|object_raw|authenticated)",
        frozenset({"bucket_policy", "object_ownership", "iam_account", "iam_user"}),
    ),
    Group("Versioning", r"test_version|test_.*delete_marker|test_.*versioned", frozenset({"versioning"})),
    Group("Multipart uploads", r"test_.*multipart"),
    Group("Copies", r"test_.*copy", frozenset({"copy"})),
    Group("Listings", r"test_.*list", frozenset({"list_objects_v2"})),
    Group("Headers and signatures", r"test_(object|bucket)_create_bad|test_.*header"),
    Group("Buckets", r"test_.*bucket"),
    Group("Objects and everything else", r""),
)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Plugin: leave out what AWS fails and what is RGW's own; tell the markers of the rest to the report."""
    left_out = {"fails_on_aws", *RGW_ONLY}
    kept: list[Any] = []
    dropped: list[Any] = []
    for item in items:
        markers = frozenset(mark.name for mark in item.iter_markers())
        item.user_properties.append(("markers", sorted(markers)))
        is_wanted = not left_out & markers and group_of(item.name, markers).served
        (kept if is_wanted else dropped).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def pytest_runtest_logreport(report: Any) -> None:
    """Plugin: one line for each test, or for what failed before or after it."""
    if (report.when != "call" and report.outcome == "passed") or "PYTEST_XDIST_WORKER" in os.environ:
        return  # the process that started the workers hears of everything
    crash = getattr(report.longrepr, "reprcrash", None)
    row = {
        "id": report.nodeid,
        "name": report.nodeid.rpartition("::")[2],
        "outcome": report.outcome,
        "markers": dict(report.user_properties).get("markers", []),
        "message": crash.message.splitlines()[0][:300] if crash and crash.message else "",
    }
    with Path(os.environ[RESULTS]).open("a") as file:
        file.write(json.dumps(row) + "\n")


@dataclass(frozen=True, slots=True)
class Identity:
    """An account or user of the suite's configuration."""

    section: str
    name: str
    account_id: str
    canonical_id: str
    access_key_id: str
    secret: str


class Setting:
    """A data directory, and the commands that fill it."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def sealgate(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "gateway", *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"sealgate {arguments[0]}: {done.stderr}")
        return done.stdout

    def identity(self, section: str, name: str) -> Identity:
        """An account of its own, with a key of its root user."""
        account = json.loads(self.sealgate("account", "create", "--json", str(self.data), name))
        made = self.sealgate("access-key", "create", "--json", "--account", account["AccountId"], str(self.data))
        key = json.loads(made)
        return Identity(
            section, name, account["AccountId"], account["CanonicalId"], key["AccessKeyId"], key["SecretAccessKey"]
        )


def configuration(identities: list[Identity], port: int, kms_keys: list[str]) -> str:
    """The suite's configuration file. The tenant of RGW is an account like the others here."""
    lines = ["[DEFAULT]", "host = 127.0.0.1", f"port = {port}", "is_secure = False", "ssl_verify = False", ""]
    lines += ["[fixtures]", "bucket prefix = conformance-{random}-", ""]
    for each in identities:
        lines += [
            f"[{each.section}]",
            f"display_name = {each.name}",
            f"user_id = {each.canonical_id}",
            f"email = {each.name}@example.com",
            f"access_key = {each.access_key_id}",
            f"secret_key = {each.secret}",
            f"tenant = {each.account_id}",
        ]
        if each.section == "s3 main":
            lines += [f"kms_keyid = {kms_keys[0]}", f"kms_keyid2 = {kms_keys[1]}"]
        lines.append("")
    return "\n".join(lines)


SETTINGS = {
    "SEALGATE_ACCESS_NEW_BUCKETS_BLOCK_PUBLIC": "false",
    "SEALGATE_ACCESS_NEW_BUCKETS_OWNERSHIP": "ObjectWriter",
    "SEALGATE_LISTEN_SIGNATURE_VERSION_2": "true",
}
"""What the suite takes for granted: buckets as they were before 2023, and the signatures of its forms."""

EXAMPLE = Identity("s3 main", "NAME", "ACCOUNT-ID", "CANONICAL-ID", "ACCESS-KEY-ID", "SECRET")
SECTIONS = {
    "s3 main": "main",
    "s3 alt": "alt",
    "s3 tenant": "tenant",
    "iam": "iam",
    "iam root": "iam-root",
    "iam alt root": "iam-alt-root",
}


@contextmanager
def served(directory: Path) -> Iterator[tuple[str, Setting]]:
    """A gateway on a free port; its endpoint, and its setting."""
    setting = Setting(directory / "data")
    environment = {**os.environ, **SETTINGS}
    setting.sealgate("init", "--root", "file", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", str(setting.data))
    log = directory / "gateway.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "gateway", "serve", str(setting.data)]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=output, text=True
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.match(r"ready: (\S+)", line):
                yield found[1], setting
                return
        raise SystemExit(f"the gateway did not start: {log.read_text()[-2000:]}")
    finally:
        process.terminate()
        process.wait(60)


def kms_keys(endpoint: str, main: Identity) -> list[str]:
    """Two KMS keys of the main account, by its own hand."""
    client = boto3.client(
        "kms",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=main.access_key_id,
        aws_secret_access_key=main.secret,
    )
    return [client.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]


def suite_python(suite: Path) -> Path:
    python = suite / ".venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(suite / ".venv")], check=True)
        requirements = ("pytest-xdist", "-r", str(suite / "requirements.txt"))
        subprocess.run([str(python), "-m", "pip", "install", "-q", *requirements], check=True)
    return python


def run(suite: Path, selection: str | None) -> list[dict[str, Any]]:
    """Run the suite, and what failed once more by itself; one row for each test."""
    python = suite_python(suite)
    with tempfile.TemporaryDirectory(prefix="sealgate-conformance-") as temporary:
        directory = Path(temporary)
        with served(directory) as (endpoint, setting):
            identities = [setting.identity(section, name) for section, name in SECTIONS.items()]
            port = int(endpoint.rpartition(":")[2])
            config = directory / "s3tests.conf"
            config.write_text(configuration(identities, port, kms_keys(endpoint, identities[0])))
            results = directory / "results"
            results.touch()
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                "S3TEST_CONF": str(config),
                RESULTS: str(results),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_CONFIG_FILE": os.devnull,
                "PYTHONPATH": str(Path(__file__).parent),
            }
            chosen = ["-k", selection] if selection else []
            pytest = [str(python), "-m", "pytest", "-q", "-p", Path(__file__).stem, "--tb=short"]
            subprocess.run([*pytest, "-n", "2", *chosen, *FILES], cwd=suite, env=environment, check=False)
            rows = _rows(results)
            failed = [row["id"] for row in rows.values() if row["outcome"] == "failed"]
            if failed:  # some tests count what others beside them have
                results.write_text("")
                subprocess.run([*pytest, *failed], cwd=suite, env=environment, check=False)
                rows |= _rows(results)
    return list(rows.values())


def _rows(results: Path) -> dict[str, dict[str, Any]]:
    """By the name of the test. A failure outweighs a pass: of its set-up, or of what it leaves."""
    rows: dict[str, dict[str, Any]] = {}
    for line in results.read_text().splitlines():
        row = json.loads(line)
        if row["name"] not in rows or row["outcome"] == "failed":
            rows[row["name"]] = row
    return rows


def group_of(name: str, markers: Iterable[str]) -> Group:
    return next(group for group in GROUPS if group.takes(name, frozenset(markers)))


def page(rows: list[dict[str, Any]], commit: str) -> str:
    """docs/conformance.md."""
    counts: dict[str, Counter[str]] = {group.title: Counter() for group in GROUPS if group.served}
    for row in rows:
        counts[group_of(row["name"], row["markers"]).title][row["outcome"]] += 1
    table = ["| group | passed | failed | skipped |", "|---|---:|---:|---:|"]
    table += [
        f"| {title} | {count['passed']} | {count['failed']} | {count['skipped']} |"
        for title, count in counts.items()
        if count
    ]
    total: Counter[str] = sum(counts.values(), Counter())
    table.append(f"| **all** | **{total['passed']}** | **{total['failed']}** | **{total['skipped']}** |")
    example = configuration([EXAMPLE], 9000, ["KEY-ID", "KEY-ID"])
    return TEMPLATE.format(
        commit=commit,
        unserved=", ".join(group.title for group in GROUPS if not group.served),
        table="\n".join(table),
        example=example,
        settings="\n".join(f"{name}={value}" for name, value in SETTINGS.items()),
    )


TEMPLATE = """# Conformance

The public suite [ceph/s3-tests](https://github.com/ceph/s3-tests), `test_s3.py` and `test_headers.py`, at commit
`{commit}`. Left out are the tests that AWS itself fails (`fails_on_aws`), those of RGW's own extensions, and those of
what is not served yet: {unserved}. This page is written by a script:

```
git clone https://github.com/ceph/s3-tests DIRECTORY
.venv/bin/python scripts/s3_conformance.py DIRECTORY
```

## Passes by group

{table}

## Its settings and users

The gateway runs with these settings: the suite takes buckets for granted as they were before 2023, when ACLs and public
access were not blocked by default, and signs its forms by Signature Version 2.

```sh
{settings}
```

The suite wants several users: `s3 main`, `s3 alt`, `s3 tenant`, `iam`, `iam root` and `iam alt root`. The script makes
an account for each (`sealgate account create`) with an access key of its root user (`sealgate access-key create`), and
writes them into the suite's configuration. To run the suite by hand, do the same, and point `S3TEST_CONF` to the file;
it starts like this, and has a section like the last for each user:

```ini
{example}```

What fails, and why, is at the end of [divergences.md](divergences.md).
"""


def divergences(rows: list[dict[str, Any]]) -> str:
    """The section of docs/divergences.md: reasons, and the tests that fail for each."""
    by_reason: dict[str, list[str]] = {}
    for name in sorted(row["name"] for row in rows if row["outcome"] == "failed"):
        by_reason.setdefault(reason_of(name), []).append(name)
    lines = [f"- {reason}: {', '.join(f'`{name}`' for name in names)}." for reason, names in sorted(by_reason.items())]
    head = "Written by `scripts/s3_conformance.py`, as [conformance.md](conformance.md) is."
    return "\n".join([DIVERGENCES_MARK, "", head, "", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="a checkout of ceph/s3-tests")
    parser.add_argument("-k", dest="selection", help="run only some tests (pytest's -k), and leave the page alone")
    arguments = parser.parse_args()
    suite: Path = arguments.suite.resolve()
    commit = subprocess.run(
        ["git", "-C", str(suite), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = run(suite, arguments.selection)
    for row in rows:
        if row["outcome"] == "failed":
            print(f"{group_of(row['name'], row['markers']).title}: {row['name']}: {row['message']}")
    if not arguments.selection:
        PAGE.write_text(page(rows, commit))
        kept = DIVERGENCES.read_text().partition(DIVERGENCES_MARK)[0].rstrip()
        DIVERGENCES.write_text(f"{kept}\n\n{divergences(rows)}")


if __name__ == "__main__":
    main()
