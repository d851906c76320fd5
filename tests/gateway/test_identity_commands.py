"""The commands that manage identities, on a data directory that nobody serves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config import CONFIG_NAME, load

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}\n'


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False)


def told(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("made") / "data"
    assert run("init", data, "--root", "file", "--listen", "127.0.0.1:0").exit_code == 0
    return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def test_a_user_from_the_first_day_to_the_last(data: Path) -> None:
    user = told("user", "create", data, "ann", "--path", "/staff/")
    (account,) = told("account", "list", data)
    assert user["Arn"] == f"arn:aws:iam::{account['AccountId']}:user/staff/ann"
    assert told("user", "list", data) == [user]
    assert run("user", "policy", "put", data, "ann", "all", "-", stdin=POLICY).exit_code == 0
    assert told("user", "policy", "list", data, "ann") == [{"PolicyName": "all"}]
    assert run("user", "policy", "get", data, "ann", "all").stdout == POLICY + "\n"
    key = told("access-key", "create", data, "--user", "ann")
    assert len(key["SecretAccessKey"]) == 40
    key_id = key["AccessKeyId"]
    assert _status(data, key_id) == ("Active", "ann")
    assert run("access-key", "disable", data, key_id).exit_code == 0
    assert _status(data, key_id) == ("Inactive", "ann")
    assert run("access-key", "enable", data, key_id).exit_code == 0
    assert _status(data, key_id) == ("Active", "ann")
    assert run("user", "delete", data, "ann").exit_code == 1
    assert run("access-key", "delete", data, key_id).exit_code == 0
    assert run("user", "policy", "delete", data, "ann", "all").exit_code == 0
    assert run("user", "delete", data, "ann").exit_code == 0
    assert told("user", "list", data) == []


def _status(data: Path, key_id: str) -> tuple[str, str]:
    (found,) = [each for each in told("access-key", "list", data) if each["AccessKeyId"] == key_id]
    return found["Status"], found["UserName"]


def test_with_several_accounts_one_is_named(data: Path) -> None:
    second = told("account", "create", data, "second")["AccountId"]
    assert run("user", "create", data, "ann").exit_code == 1
    assert told("user", "create", data, "ann", "--account", second)["Arn"].startswith(f"arn:aws:iam::{second}:")
    root_key = told("access-key", "create", data, "--account", second)["AccessKeyId"]
    assert [each["UserName"] for each in told("access-key", "list", data, "--account", second)] == ["<root_account>"]
    assert root_key.startswith("AKIA")


def test_an_account_from_the_first_day_on(data: Path) -> None:
    ids = ("--id", "210987654321", "--canonical-id", "c" * 64)
    made = told("account", "create", data, "second", "--email", "second@example.com", *ids)
    assert (made["AccountId"], made["CanonicalId"], made["Status"]) == ("210987654321", "c" * 64, "Active")
    assert told("account", "show", data, "210987654321") == made
    assert run("account", "create", data, "third", "--email", "SECOND@example.com").exit_code == 1
    assert (
        run("account", "update", data, "210987654321", "--name", "renamed", "--email", "b@example.com").exit_code == 0
    )
    renamed = told("account", "show", data, "210987654321")
    assert renamed == {**made, "Name": "renamed", "Email": "b@example.com"}
    assert run("account", "suspend", data, "210987654321").exit_code == 0
    assert told("account", "show", data, "210987654321") == {**renamed, "Status": "Suspended"}
    assert run("account", "activate", data, "210987654321").exit_code == 0
    assert told("account", "show", data, "210987654321") == renamed
    assert run("account", "update", data, "210987654321").exit_code == 2
    for command in ("show", "suspend", "activate"):
        assert run("account", command, data, "123456789012").exit_code == 1


def test_no_secret_is_stored_as_it_is(data: Path) -> None:
    secret = told("access-key", "create", data)["SecretAccessKey"].encode()
    directory = load(data / CONFIG_NAME).identities_path.parent
    assert not any(secret in file.read_bytes() for file in directory.iterdir())


def test_what_opens_the_services_keys_is_in_the_audit_trail(data: Path) -> None:
    assert run("access-key", "create", data).exit_code == 0
    lines = run("audit", "tail", data, "--json").stdout.splitlines()
    names = [json.loads(line)["eventName"] for line in lines]
    assert names[0] == "StartKeyService"
    assert names[-1] == "StopKeyService"
    assert "Decrypt" in names
    assert run("audit", "verify", data, "--expect-final").exit_code == 0


def test_an_access_key_is_not_made_while_nothing_can_be_told(data: Path) -> None:
    (data / "audit").rmdir() if (data / "audit").exists() else None
    (data / "audit").write_text("in the way")
    assert run("access-key", "create", data).exit_code == 1
    assert len(told("access-key", "list", data)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "create", "DATA", "a/b"),
        ("user", "create", "DATA", "a", "--path", "x"),
        ("user", "create", "DATA", "a", "--account", "100000000000"),
        ("user", "delete", "DATA", "nobody"),
        ("user", "policy", "put", "DATA", "nobody", "p", "-"),
        ("user", "policy", "get", "DATA", "nobody", "p"),
        ("user", "policy", "delete", "DATA", "nobody", "p"),
        ("access-key", "create", "DATA", "--user", "nobody"),
        ("access-key", "disable", "DATA", "AKIAUNKNOWNUNKNOWN12"),
        ("access-key", "delete", "DATA", "AKIAUNKNOWNUNKNOWN12"),
    ],
)
def test_refusals(data: Path, arguments: tuple[str, ...]) -> None:
    result = run(*[str(data) if each == "DATA" else each for each in arguments], stdin=POLICY)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


@pytest.mark.parametrize("document", ["", "{", "[]", '{"Statement": [{"Effect": "Allow"}]}', " " * 70_000])
def test_what_is_no_policy_is_not_kept(data: Path, document: str) -> None:
    assert run("user", "create", data, "ann").exit_code == 0
    assert run("user", "policy", "put", data, "ann", "p", "-", stdin=document).exit_code == 1
    assert told("user", "policy", "list", data, "ann") == []
