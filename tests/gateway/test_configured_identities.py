"""Identities of the configuration: what is read from the files, and what becomes of the store."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import config
from gateway.config import ConfigError
from gateway.configured_identities import (
    POLICY_NAME,
    ConfiguredIdentities,
    apply_configured,
    one_at_a_time,
    read_configured,
)
from iam.credentials import Account, Credential
from iam.principals import PolicyText, root_principal
from iam.secrets import Secret
from iam.store import IdentityStore, PoliciesTooLong, SQLiteIdentityStore
from tests.iam.store.test_sqlite import KEY, AESGCMSecretSealer

ID, OTHER_ID = "123456789012", "210987654321"
KEYS = "AKIAONEONEONEONE1234 secret-of-the-first-one\n"
POLICY = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
ONE = f'[[account]]\nid = "{ID}"\nname = "one"\naccess_keys_file = "keys"\n'
ANN = '[[account.user]]\nname = "ann"\npath = "/staff/"\naccess_keys_file = "ann"\npolicy_file = "policy"\n'


def write_keys(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def read(directory: Path, text: str) -> ConfiguredIdentities:
    return read_configured(config.parse(text, directory / "sealgate.toml"))


def applied(store: IdentityStore, configured: ConfiguredIdentities, now_us: int) -> list[str]:
    return list(apply_configured(store, configured, now_us))


def refusal(directory: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(directory, text)
    return str(caught.value)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_keys(tmp_path / "keys", KEYS)
    write_keys(tmp_path / "ann", "AKIAANNANNANNANN1234 secret-of-the-user-ann\n")
    (tmp_path / "policy").write_text(POLICY)
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IdentityStore]:
    store = SQLiteIdentityStore(tmp_path / "identities.sqlite", AESGCMSecretSealer(KEY))
    yield store
    store.close()


def test_lines_of_a_file_of_keys(directory: Path) -> None:
    write_keys(directory / "keys", f"# comment\n\n{KEYS}  AKIATWOTWOTWOTWO1234\t  another/secret+of=40 \n")
    (account,) = read(directory, ONE).accounts
    assert [(key.access_key_id, key.secret.reveal(), key.place) for key in account.keys] == [
        ("AKIAONEONEONEONE1234", b"secret-of-the-first-one", f"{directory / 'keys'}, line 3"),
        ("AKIATWOTWOTWOTWO1234", b"another/secret+of=40", f"{directory / 'keys'}, line 4"),
    ]


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("AKIAONEONEONEONE1234", "keys, line 1: a secret access key has"),
        ("\nAKIAONEONEONEONE1234 short-secret", "keys, line 2: a secret access key has"),
        ("AKIAONEONEONEONE1234 two secrets-in-one-line", "keys, line 1: a secret access key has"),
        ("akiaoneoneoneone1234 secret-of-the-first-one", "keys, line 1: an access key id has"),
        (KEYS + "\n" + KEYS, "keys, line 3: this access key stands in"),
        ("AKIAONEONEONEONE1234 gehéim-gehéim-gehéim", "keys: is not ASCII"),
        ("#" * (1 << 20) + "#", "keys: has more than"),
    ],
)
def test_what_is_no_file_of_keys_is_refused_by_line_and_not_told(directory: Path, keys: str, complaint: str) -> None:
    write_keys(directory / "keys", keys)
    told = refusal(directory, ONE)
    assert complaint in told
    for secret in ("secret-of", "short-secret", "two secrets", "gehéim"):
        assert secret not in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[account]]\nid = "1234"', "account[1].id: an account id has 12 digits"),
        (f'[[account]]\nid = "{ID}"\ncanonical_id = "AB"', "account[1].canonical_id: a canonical user id"),
        (f'[[account]]\nid = "{ID}"\nemail = "nobody"', "account[1].email: an e-mail address"),
        (f'[[account]]\nid = "{ID}"\nname = "a\\nb"', "account[1].name: an account's name"),
        (
            f'[[account]]\nid = "{ID}"\n[[account]]\nid = "{ID}"',
            "account[2]: this account stands in account[1] already",
        ),
        (ONE + '[[account.user]]\nname = "a b"', "account[1].user[1].name: the name of a user"),
        (ONE + '[[account.user]]\nname = "a"\n[[account.user]]\nname = "A"', "account[1].user[2]: this user stands in"),
        (ONE + '[[account.user]]\nname = "a"\npath = "x"', "account[1].user[1].path: a path"),
        (ONE + '[[account.user]]\nname = "a"\npolicy_file = "keys"', "keys: this is no policy"),
        (ONE + '[[account.user]]\nname = "a"\npolicy_file = "none"', "none: No such file"),
        (ONE + '[access]\nroot_access_keys_file = "none"', "none: No such file"),
        (ONE + '[access]\nroot_access_keys_file = "keys"', "keys, line 1: this access key stands in"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(directory: Path, text: str, complaint: str) -> None:
    assert complaint in refusal(directory, text)


@pytest.mark.parametrize("mode", [stat.S_IRGRP, stat.S_IWGRP, stat.S_IROTH])
def test_files_of_keys_are_private(directory: Path, mode: int) -> None:
    (directory / "keys").chmod(0o600 | mode)
    assert "is open to others: chmod 600" in refusal(directory, ONE)


def test_what_is_configured_is_made_once(directory: Path, store: IdentityStore) -> None:
    configured = read(directory, ONE + ANN)
    assert len(applied(store, configured, 5)) == 5
    assert applied(store, configured, 6) == []
    account = store.account(ID)
    assert (account.display_name, account.email, account.created_us) == ("one", None, 5)
    ann = store.user(ID, "ann")
    assert ann.arn == f"arn:aws:iam::{ID}:user/staff/ann"
    found = store.find_credential("AKIAANNANNANNANN1234")
    assert found is not None
    in_force = (PolicyText(f"user ann policy {POLICY_NAME}", POLICY),)
    assert (found.principal, found.policies.identity) == (ann.principal, in_force)
    root = store.find_credential("AKIAONEONEONEONE1234")
    assert root == Credential("AKIAONEONEONEONE1234", Secret(b"secret-of-the-first-one"), root_principal(ID))


def test_what_was_done_before_something_failed_is_told(directory: Path, store: IdentityStore) -> None:
    changes = apply_configured(store, read(directory, ONE + f'[[account]]\nid = "{OTHER_ID}"'), 1)
    assert next(changes) == f"account {ID} is made"
    assert next(changes).startswith("access key AKIAONEONEONEONE1234")
    with pytest.raises(ConfigError, match="needs a name"):
        next(changes)


def test_what_is_configured_no_more(directory: Path, store: IdentityStore) -> None:
    """Keys are disabled and the policy is gone; accounts and users stay, as what they own names them."""
    applied(store, read(directory, ONE + ANN), 1)
    write_keys(directory / "keys", "# none\n")
    (told,) = applied(store, read(directory, ONE + ANN), 2)
    assert told == "access key AKIAONEONEONEONE1234 is disabled: the configuration has it no more"
    applied(store, read(directory, ONE + ANN.replace('policy_file = "policy"', "")), 2)
    assert store.inline_policies(store.user(ID, "ann")) == []
    applied(store, read(directory, ""), 3)
    assert [key.is_active for key in store.access_keys(ID)] == [False, False]
    assert [user.name for user in store.users(ID)] == ["ann"]
    write_keys(directory / "keys", KEYS)
    applied(store, read(directory, ONE + ANN), 4)
    assert [key.is_active for key in store.access_keys(ID)] == [True, True]


def test_what_was_made_otherwise_is_left_alone(directory: Path, store: IdentityStore) -> None:
    store.create_account(Account(ID, "a" * 64, "by hand", 1, "by@hand.example"))
    store.create_access_key(Credential("AKIABYHANDBYHAND1234", Secret(b"x" * 40), root_principal(ID)), 1)
    applied(store, read(directory, ONE.replace('name = "one"', "") + ANN), 2)
    assert store.account(ID) == Account(ID, "a" * 64, "by hand", 1, "by@hand.example")
    store.put_inline_policy(store.user(ID, "ann"), PolicyText("by-hand", POLICY))
    applied(store, read(directory, ""), 3)
    assert [policy.name for policy in store.inline_policies(store.user(ID, "ann"))] == ["by-hand", POLICY_NAME]
    found = store.find_credential("AKIABYHANDBYHAND1234")
    assert found is not None
    assert found.active


def test_names_and_addresses_of_the_configuration_count(directory: Path, store: IdentityStore) -> None:
    store.create_account(Account(ID, "a" * 64, "by hand", 1))
    text = f'[[account]]\nid = "{ID}"\nname = "configured"\nemail = "a@example.com"\ncanonical_id = "{"a" * 64}"'
    assert len(applied(store, read(directory, text), 2)) == 1
    assert store.account(ID) == Account(ID, "a" * 64, "configured", 1, "a@example.com")


def test_what_contradicts_the_store_is_refused(directory: Path, store: IdentityStore) -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        applied(store, read(directory, f'[[account]]\nid = "{ID}"'), 1)
    store.create_account(Account(ID, "a" * 64, "one", 1))
    with pytest.raises(ConfigError, match="another canonical id"):
        applied(store, read(directory, f'[[account]]\nid = "{ID}"\ncanonical_id = "{"b" * 64}"'), 1)
    store.create_access_key(Credential("AKIAONEONEONEONE1234", Secret(b"x" * 40), root_principal(ID)), 1)
    with pytest.raises(ConfigError, match="keys, line 1: access key AKIAONEONEONEONE1234 exists"):
        applied(store, read(directory, ONE), 1)
    (directory / "policy").write_text(POLICY.replace("s3:*", "s3:" + "A" * 2048))
    with pytest.raises(PoliciesTooLong):
        applied(store, read(directory, ONE.replace("access_keys", "#") + ANN), 1)


def test_keys_of_the_first_accounts_root_user(directory: Path, store: IdentityStore) -> None:
    store.create_account(Account(OTHER_ID, "b" * 64, "first", 9))
    store.create_account(Account(ID, "a" * 64, "second", 1))
    applied(store, read(directory, '[access]\nroot_access_keys_file = "keys"'), 10)
    found = store.find_credential("AKIAONEONEONEONE1234")
    assert found is not None
    assert found.principal == root_principal(OTHER_ID)


def test_one_at_a_time(tmp_path: Path) -> None:
    import fcntl

    with one_at_a_time(tmp_path / "lock"), (tmp_path / "lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with one_at_a_time(tmp_path / "lock"), pytest.raises(TimeoutError), one_at_a_time(tmp_path / "lock", 0.05):
        pass
