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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import s3_conformance_sts
from s3_conformance_reasons import reason_of

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "conformance.md"
DIVERGENCES = REPOSITORY / "docs" / "divergences.md"
DIVERGENCES_MARK = "## Tests of ceph/s3-tests that fail"
"""What follows it, to the end of the page, is written by this script."""
RESULTS = "SEALGATE_CONFORMANCE_RESULTS"
RGW_ONLY = ("appendobject", "bucket_logging", "cloud_restore", "cloud_transition", "iam_tenant", "target_by_bucket")
"""Markers of RGW's own extensions."""
WAITING = frozenset({"test_assume_role_creds_expiry"})
"""Tests that wait for a quarter of an hour: they are run when -k asks for them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Files of the suite that want the same users, and are run together by so many workers.

    Where `is_alt_a_user`, "s3 alt" is a user in the account of "iam", called by its user_id, and not an account: RGW's
    users without an account (`iam_tenant`) are just that to the tests of users' policies. Where `is_of_sessions`, the
    user_id of "iam root" is the account's id, as GetCallerIdentity tells it, there is an issuer of OpenID Connect, and
    s3_conformance_sts is a plugin too.
    """

    files: tuple[str, ...]
    workers: int
    is_alt_a_user: bool = False
    is_of_sessions: bool = False


PARTS = (
    Part(("test_s3.py", "test_headers.py"), workers=2),
    # One after the other: they give "s3 alt" policies and take them away.
    Part(("test_iam.py",), workers=0, is_alt_a_user=True),
    Part(("test_sts.py",), workers=0, is_alt_a_user=True, is_of_sessions=True),
)
IAM_FILES = frozenset(file for part in PARTS if part.is_alt_a_user for file in part.files)


@dataclass(frozen=True, slots=True)
class Group:
    """Tests of one of `files`, or whose name matches `names` (a regular expression), or that have one of `markers`.

    Those of a group that is not `served` are not run: the gateway says NotImplemented to what they are about.
    """

    title: str
    names: str
    markers: frozenset[str] = frozenset()
    served: bool = True
    files: frozenset[str] = frozenset()

    def takes(self, file: str, name: str, markers: frozenset[str]) -> bool:
        return file in self.files or bool(self.markers & markers) or re.match(self.names, name) is not None


NOTHING = r"$"

GROUPS = (
    Group("STS: sessions of users and roles", NOTHING, files=frozenset({"test_sts.py"})),
    Group("IAM: users, groups, roles, policies", NOTHING, files=IAM_FILES),
    Group("Lifecycle", r"test_lifecycle", frozenset({"lifecycle", "lifecycle_expiration"})),
    Group("Object Lock", r"test_object_lock", frozenset({"object_lock"}), served=False),
    Group("Bucket logging", r"test_.*bucket_logging", frozenset({"bucket_logging"}), served=False),
    Group("SSE-C", r"test_encrypt|test_.*sse_c|test_put_obj_enc_conflict|test_copy_(part_)?enc\[(.*sse-c)"),
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


def pytest_configure() -> None:
    """Plugin: have requests to IAM and STS signed for a region.

    The suite names none, and botocore signs for "" then, unless it finds the endpoint by itself as it does for AWS.
    """
    original = boto3.client

    def client(*arguments: Any, **options: Any) -> Any:
        return original(*arguments, **{**options, "region_name": options.get("region_name") or "us-east-1"})

    boto3.client = client


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Plugin: leave out what AWS fails and what is RGW's own; tell the markers of the rest to the report."""
    kept: list[Any] = []
    dropped: list[Any] = []
    for item in items:
        markers = frozenset(mark.name for mark in item.iter_markers())
        item.user_properties.append(("markers", sorted(markers)))
        left_out = {"fails_on_aws", *RGW_ONLY} - ({"iam_tenant"} if item.path.name in IAM_FILES else set())
        is_wanted = not left_out & markers and group_of(item.nodeid, markers).served
        is_wanted = is_wanted and (item.name not in WAITING or bool(config.option.keyword))
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
    """An account or user of the suite's configuration. What the suite calls `user_id` is an account's canonical id."""

    section: str
    name: str
    account_id: str
    user_id: str
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
        data = str(self.data)
        email = f"{name}@example.com"
        account = json.loads(self.sealgate("account", "create", "--json", "--email", email, data, name))
        key = json.loads(self.sealgate("access-key", "create", "--json", "--account", account["AccountId"], data))
        return Identity(
            section, name, account["AccountId"], account["CanonicalId"], key["AccessKeyId"], key["SecretAccessKey"]
        )

    def user(self, section: str, name: str, account_id: str) -> Identity:
        """A user, who may do everything with S3 as RGW's users may with what is theirs; its user_id is its name."""
        account = ("--account", account_id)
        self.sealgate("user", "create", str(self.data), name, *account)
        document = self.data.parent / "s3.json"
        document.write_text(json.dumps(EVERYTHING_OF_S3))
        self.sealgate("user", "policy", "put", str(self.data), name, "s3", str(document), *account)
        key = json.loads(self.sealgate("access-key", "create", "--json", "--user", name, *account, str(self.data)))
        return Identity(section, name, account_id, name, key["AccessKeyId"], key["SecretAccessKey"])


def configuration(identities: list[Identity], port: int, kms_keys: list[str]) -> str:
    """The suite's configuration file. The tenant of RGW is an account like the others here."""
    lines = ["[DEFAULT]", "host = 127.0.0.1", f"port = {port}", "is_secure = False", "ssl_verify = False", ""]
    lines += ["[fixtures]", "bucket prefix = conformance-{random}-", ""]
    for each in identities:
        lines += [
            f"[{each.section}]",
            f"display_name = {each.name}",
            f"user_id = {each.user_id}",
            f"email = {each.name}@example.com",
            f"access_key = {each.access_key_id}",
            f"secret_key = {each.secret}",
            f"tenant = {each.account_id}",
        ]
        if each.section == "s3 main":
            lines += [f"kms_keyid = {kms_keys[0]}", f"kms_keyid2 = {kms_keys[1]}"]
        lines.append("")
    return "\n".join(lines)


def web_identity(issuer: Any) -> str:
    """The section about the issuer (`tests.oidc_issuer.Issuer`): two tokens, the second of a user with a tag."""
    tags = {"principal_tags": {"Department": ["Engineering"]}, "transitive_tag_keys": ["Department"]}
    claims = {"aud": s3_conformance_sts.AUDIENCE, "sub": "conformance"}
    lines = ["[webidentity]", f"KC_REALM = {s3_conformance_sts.REALM}", f"thumbprint = {'0' * 40}"]
    lines += [f"{name} = {value}" for name, value in claims.items()]
    lines += [f"azp = {claims['aud']}", f"token = {issuer.token(**claims)}"]
    user_token = issuer.token(**claims, **{"https://aws.amazon.com/tags": tags})
    return "\n".join([*lines, f"user_token = {user_token}", ""])


SETTINGS = {
    "SEALGATE_ACCESS_NEW_BUCKETS_BLOCK_PUBLIC": "false",
    "SEALGATE_ACCESS_NEW_BUCKETS_BLOCK_SSE_C": "false",
    "SEALGATE_ACCESS_NEW_BUCKETS_OWNERSHIP": "ObjectWriter",
    "SEALGATE_LISTEN_SIGNATURE_VERSION_2": "true",
    "SEALGATE_WEBIDENTITY_LOOPBACK": "true",
}
"""What the suite takes for granted: buckets as they were before 2023, open to SSE-C, the signatures of forms, and an
issuer on the same machine."""

EVERYTHING_OF_S3 = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
}

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
    sys.path.append(str(REPOSITORY))
    from tests.oidc_issuer import running_issuer  # noqa: PLC0415  # the suite's Python, whose plugin this is, lacks it

    python = suite_python(suite)
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="sealgate-conformance-") as temporary:
        directory = Path(temporary)
        with served(directory) as (endpoint, setting), running_issuer() as issuer:
            identities = {section: setting.identity(section, name) for section, name in SECTIONS.items()}
            alt_user = setting.user("s3 alt", "alt-user", identities["iam"].account_id)
            keys = kms_keys(endpoint, identities["s3 main"])
            results = directory / "results"
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                "S3TEST_CONF": str(directory / "s3tests.conf"),
                RESULTS: str(results),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_CONFIG_FILE": os.devnull,
                "PYTHONPATH": str(Path(__file__).parent),
                s3_conformance_sts.ACCOUNT: identities["iam"].account_id,
                s3_conformance_sts.ISSUER: issuer.url,
            }
            chosen = ["-k", selection] if selection else []
            for part in PARTS:
                pytest = [str(python), "-m", "pytest", "-q", "-p", Path(__file__).stem, "--tb=short"]
                wanted = {**identities, **({"s3 alt": alt_user} if part.is_alt_a_user else {})}
                more = ""
                if part.is_of_sessions:
                    pytest += ["-p", s3_conformance_sts.__name__]
                    root = wanted["iam root"]
                    wanted["iam root"] = replace(root, user_id=root.account_id)
                    more = web_identity(issuer)
                port = int(endpoint.rpartition(":")[2])
                (directory / "s3tests.conf").write_text(configuration(list(wanted.values()), port, keys) + "\n" + more)
                files = [f"s3tests/functional/{file}" for file in part.files]
                results.write_text("")
                at_once = [*pytest, "-n", str(part.workers), *chosen, *files]
                subprocess.run(at_once, cwd=suite, env=environment, check=False)
                found = _rows(results)
                failed = [row["id"] for row in found.values() if row["outcome"] == "failed"]
                if failed:  # some tests count what others beside them have
                    results.write_text("")
                    subprocess.run([*pytest, *failed], cwd=suite, env=environment, check=False)
                    found |= _rows(results)
                rows |= found
    return list(rows.values())


def _rows(results: Path) -> dict[str, dict[str, Any]]:
    """By the test's id. A failure outweighs a pass: of its set-up, or of what it leaves."""
    rows: dict[str, dict[str, Any]] = {}
    for line in results.read_text().splitlines():
        row = json.loads(line)
        if row["id"] not in rows or row["outcome"] == "failed":
            rows[row["id"]] = row
    return rows


def group_of(node_id: str, markers: Iterable[str]) -> Group:
    """The first that takes a test, by pytest's id of it (`s3tests/functional/test_s3.py::test_…`)."""
    path, _, name = node_id.partition("::")
    return next(group for group in GROUPS if group.takes(path.rpartition("/")[2], name, frozenset(markers)))


def page(rows: list[dict[str, Any]], commit: str) -> str:
    """docs/conformance.md."""
    counts: dict[str, Counter[str]] = {group.title: Counter() for group in GROUPS if group.served}
    for row in rows:
        counts[group_of(row["id"], row["markers"]).title][row["outcome"]] += 1
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
        files=", ".join(f"`{file}`" for part in PARTS for file in part.files),
        iam_files=", ".join(f"`{file}`" for file in sorted(IAM_FILES)),
        commit=commit,
        waiting=", ".join(f"`{name}`" for name in sorted(WAITING)),
        unserved=", ".join(group.title for group in GROUPS if not group.served),
        table="\n".join(table),
        example=example,
        settings="\n".join(f"{name}={value}" for name, value in SETTINGS.items()),
    )


TEMPLATE = """# Conformance

The public suite [ceph/s3-tests](https://github.com/ceph/s3-tests), {files}, at commit
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
access were not blocked by default, nor SSE-C, and signs its forms by Signature Version 2.

```sh
{settings}
```

The suite wants several users: `s3 main`, `s3 alt`, `s3 tenant`, `iam`, `iam root` and `iam alt root`. The script makes
an account for each (`sealgate account create`) with an access key of its root user (`sealgate access-key create`), and
writes them into the suite's configuration. To run the suite by hand, do the same, and point `S3TEST_CONF` to the file;
it starts like this, and has a section like the last for each user:

```ini
{example}```

For {iam_files} `s3 alt` is another: a user in the account of `iam` (`sealgate user create`) who may do everything with
S3, and whose name is its `user_id`.

`test_sts.py` spells things as Ceph has them and AWS nowhere: ARNs without an account's id, the condition keys `app_id`
and `azp` of an issuer, which are `aud` on AWS, providers without an audience. `scripts/s3_conformance_sts.py` puts them
as AWS has them on the way from the suite to the SDK, and ARNs back on the way to the suite. The issuer, which is
Keycloak for Ceph, is one of the script's own, on a loopback address and with real signatures. Left out above is
{waiting}, which waits for a quarter of an hour; `-k` runs it.

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
            print(f"{group_of(row['id'], row['markers']).title}: {row['name']}: {row['message']}")
    if not arguments.selection:
        PAGE.write_text(page(rows, commit))
        kept = DIVERGENCES.read_text().partition(DIVERGENCES_MARK)[0].rstrip()
        DIVERGENCES.write_text(f"{kept}\n\n{divergences(rows)}")


if __name__ == "__main__":
    main()
