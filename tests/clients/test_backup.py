"""The runbook of docs/backup.md, done: a backup while clients write, the loss of everything, a restore, all there."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from tests.clients.checks import random_bytes
from tests.harness import REPOSITORY, Gateway, running_gateway

KMS = {"ServerSideEncryption": "aws:kms"}


class Writing:
    """Clients that write until the block ends, and what they were told."""

    def __init__(self, gateway: Gateway) -> None:
        self.s3, self.iam, self.kms = (gateway.client(name) for name in ("s3", "iam", "kms"))
        self.acknowledged = 0
        self.failure: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                number = self.acknowledged
                key = self.kms.create_key()["KeyMetadata"]["Arn"]
                self.s3.put_object(Bucket="kept", Key=f"w/{number:05}", Body=b"%d" % number, SSEKMSKeyId=key, **KMS)
                self.iam.create_user(UserName=f"user-{number}")
                self.acknowledged += 1
        except Exception as error:
            self.failure = error


def sealgate(*arguments: str) -> Result:
    """In this process: a command is the same there, and half as long."""
    return CliRunner().invoke(main, arguments)


def command(*arguments: str) -> Any:
    done = sealgate(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def index_is_sqlite(index_url: str | None) -> None:
    if index_url is not None:
        pytest.skip("an index on PostgreSQL is backed up by pg_dump")


@pytest.mark.usefixtures("index_is_sqlite")
def test_the_runbook(tmp_path: Path) -> None:
    archive = tmp_path / "backup"
    with running_gateway(tmp_path, root="file") as gateway:
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="large", Body=random_bytes(200_000), **KMS)
        s3.put_object(Bucket="kept", Key="small", Body=b"inside the index")
        with Writing(gateway) as writing:
            before = writing.acknowledged
            made = command("backup", str(gateway.data), str(archive))
            after = writing.acknowledged
        assert writing.failure is None and after > before
        members = ["backup.json", "sealgate.toml", "index.sqlite", "index-notes", "identities.sqlite", "keys.sgkb"]
        assert (made["members"], made["absent"]) == (members, [])
        assert archive.stat().st_mode & 0o777 == 0o600
        assert b"SQLite" not in archive.read_bytes() and b"kept" not in archive.read_bytes()
        assert sealgate("backup", str(gateway.data), str(archive)).exit_code == 1
        assert sealgate("restore", str(gateway.data), str(archive)).exit_code == 4
        assert [each.name for each in (gateway.data / "run").glob("backup-*")] == []
        s3.delete_object(Bucket="kept", Key="small")
        gateway.stop()

        # The machine is lost but for its blobs; root and configuration come from where they are kept.
        root, config, pin = (gateway.data / name for name in ("kms/root", "sealgate.toml", "pin"))
        kept = {path: path.read_bytes() for path in (root, config, pin, gateway.data / "dev.env")}
        for name in ("index", "iam", "kms", "run"):
            shutil.rmtree(gateway.data / name)
        (gateway.data / "store" / "index-notes").unlink()
        root.parent.mkdir(mode=0o700)
        for path, content in kept.items():
            path.touch(mode=0o600)
            path.write_bytes(content)

        dry = command("restore", str(gateway.data), str(archive), "--dry-run")
        assert not dry["restored"] and not (gateway.data / "index").exists()
        done = command("restore", str(gateway.data), str(archive))
        assert (done["restored"], done["kept"]) == (True, [])
        gateway.start()
        s3, iam = gateway.client("s3"), gateway.client("iam")
        assert s3.get_object(Bucket="kept", Key="small")["Body"].read() == b"inside the index"
        assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == random_bytes(200_000)
        written = [each["Key"] for each in s3.list_objects_v2(Bucket="kept", Prefix="w/").get("Contents", [])]
        assert written == [f"w/{number:05}" for number in range(len(written))]
        assert before <= len(written) <= after + 1
        for number, key in enumerate(written):  # each row's KMS key is there
            assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == b"%d" % number
        users = {each["UserName"] for each in iam.list_users()["Users"]}
        assert {f"user-{number}" for number in range(before)} <= users
        s3.put_object(Bucket="kept", Key="after", Body=b"after")
        gateway.stop()

        refused = sealgate("restore", str(gateway.data), str(archive))
        assert refused.exit_code == 1 and "--replace" in refused.stderr
        replaced = command("restore", str(gateway.data), str(archive), "--replace", "--yes")
        assert len(replaced["kept"]) == 3
        assert all(Path(path).exists() for path in replaced["kept"])
        (aside,) = (gateway.data / "index").glob("index.sqlite.replaced-*[!l]")
        with closing(sqlite3.connect(aside)) as connection:
            found = connection.execute("SELECT count(*) FROM object_version WHERE key = ?", (b"after",))
            assert found.fetchone() == (1,)
        mark = gateway.data / "restoring"
        mark.touch()
        cut = sealgate("serve", str(gateway.data))
        assert cut.exit_code == 1 and "run it again" in cut.stderr
        mark.unlink()


def test_the_document_names_the_commands_that_this_test_gives() -> None:
    text = (REPOSITORY / "docs" / "backup.md").read_text()
    for line in ("sealgate backup DATA", "sealgate restore DATA", "--dry-run", "pg_dump", "store/blobs"):
        assert re.search(re.escape(line), text), line
