from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.config import AccountSettings, ConfigError, Settings, UserSettings
from gateway.config_reader import (
    find_line,
    format_address,
    next_port,
    parse_address,
    section_types,
    table_types,
    toml_value,
)
from gateway.orders import Order, decode_order, encode_order

CONF = Path(__file__).parents[2] / "conf"
PATH = Path("/data/sealgate.toml")


def read(text: str, **environment: str) -> Settings:
    return config.parse(text, PATH, environment)


def refusal(text: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, **environment)
    return str(caught.value)


def test_example_lists_every_setting_with_its_default() -> None:
    assert (CONF / "sealgate.example.toml").read_text() == config.example()
    assert config.parse(config.example(), PATH) == read("")
    document = tomllib.loads(
        re.sub(
            "^# (tls_|ca_file|softhsm_conf|driver_file|root_access|password_file)",
            r"\1",
            config.example(),
            flags=re.MULTILINE,
        )
    )
    sections = section_types(Settings)
    assert set(document) == {each.name for each in fields(Settings)} - set(table_types(Settings))
    for name, kind in sections.items():
        assert set(document[name]) == {each.name for each in fields(kind)}


def test_example_of_accounts_can_be_uncommented() -> None:
    text = config.example()
    _, mark, tables = text.partition("# [[account]]\n")
    uncommented = re.sub(r'^# (\[\[|[a-z_]+ = ")', r"\1", mark + tables, flags=re.MULTILINE)
    for kind in (AccountSettings, UserSettings):
        for each in fields(kind):
            if each.name not in table_types(kind):
                assert f"\n{each.name} = " in uncommented
    filled = re.sub(r'^(\w+) = ""', r'\1 = "x"', uncommented, flags=re.MULTILINE)
    (account,) = read(filled).account
    assert (account.id, account.access_keys_file, account.user[0].name) == ("x", Path("/data/x"), "x")


def test_tables_of_which_there_may_be_any_number() -> None:
    settings = read(
        '[[account]]\nid = "1"\n[[account.user]]\nname = "a"\n[[account.user]]\nname = "b"\n[[account]]\nid = "2"'
    )
    assert [(each.id, [user.name for user in each.user]) for each in settings.account] == [("1", ["a", "b"]), ("2", [])]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("account = 1", "line 1: account: is a list of tables: write [[account]]"),
        ('[account]\nid = "1"', "line 1: account: is a list of tables: write [[account]]"),
        ('[[account]]\nname = "x"', "line 1: account[1].id: is missing"),
        ('[[account]]\nid = "1"\n\n[[account]]\nid = 2', "line 5: account[2].id: must be a string, not 2"),
        ('[[account]]\nid = "1"\n[account.user]\nname = "a"', "line 3: account[1].user: is a list of tables"),
        (
            '[[account]]\nid = "1"\n[[account.user]]\nname = "a"\n[[account]]\nid = "2"\n[[account.user]]\nnam = "b"',
            "line 8: account[2].user[1].nam: is unknown; did you mean name?",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_line(text: str, complaint: str) -> None:
    assert complaint in refusal(text)


def test_tables_have_no_environment_variables() -> None:
    assert "there is no such setting" in refusal("", SEALGATE_ACCOUNT_ID="123456789012")


def test_dev_settings_are_valid() -> None:
    assert config.load(CONF / "dev.toml", {}).kms.root == "file"


def test_paths_are_relative_to_the_data_directory_and_that_to_the_file() -> None:
    settings = read('data_directory = "d"\n[kms]\npin_file = "secrets/pin"\nsocket = "/run/kms.sock"')
    assert settings.data_directory == Path("/data/d")
    assert settings.kms.pin_file == Path("/data/d/secrets/pin")
    assert settings.kms.socket == Path("/run/kms.sock")
    assert settings.index_path.is_relative_to("/data/d")
    assert read("").data_directory == Path("/data")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('regoin = "x"', "line 1: regoin: is unknown; did you mean region?"),
        ("\n[listen]\n\nworkres = 1", "line 4: listen.workres: is unknown; did you mean workers?"),
        ("[lisen]\nworkers = 1", "line 1: lisen: is unknown; did you mean listen?"),
        ("[listen.tls]\ncert = 1", "line 1: listen.tls: is unknown"),
        ("listen.workres = 1", "line 1: listen.workres: is unknown"),
        ("listen = 1", "line 1: listen: is a section"),
        ('[listen]\nworkers = "2"', "line 2: listen.workers: must be a whole number, not '2'"),
        ("[listen]\nworkers = true", "line 2: listen.workers: must be a whole number, not True"),
        ("[listen]\nworkers = 1.5", "line 2: listen.workers: must be a whole number"),
        ("[listen]\nworkers = -1", "line 2: listen.workers: must be at least 0"),
        ("[listen]\nworkers = 1000", "line 2: listen.workers: must be at most 256"),
        ("[listen]\nidle_seconds = nan", "line 2: listen.idle_seconds: must be at least 1"),
        ("[listen]\nidle_seconds = inf", "line 2: listen.idle_seconds: must be at most"),
        ('[listen]\naddress = "9000"', "line 2: listen.address: must be host:port"),
        ('[listen]\naddress = "h:70000"', "line 2: listen.address: must be host:port"),
        ('[listen]\ndomains = "a"', "line 2: listen.domains: must be a list of strings"),
        ("[listen]\ndomains = [1]", "line 2: listen.domains: must be a list of strings"),
        ('[listen]\ntrusted_proxies = ["10.0.0.1/8"]', "line 2: listen.trusted_proxies: 10.0.0.1/8 has host bits set"),
        ('[listen]\ntrusted_proxies = ["proxy"]', "line 2: listen.trusted_proxies: 'proxy' does not appear to be"),
        ('[limits]\nkms_quotas = ["Encrypt=1"]', 'line 2: limits.kms_quotas: must be "aws" or a quota\'s name'),
        ('[limits]\nkms_quotas = ["RSA=-1"]', "line 2: limits.kms_quotas: must have 0, or"),
        ("[storage]\nfsync = 1", "line 2: storage.fsync: must be true or false"),
        ('[kms]\nroot = "vault"', "line 2: kms.root: must be one of pkcs11, file"),
        ('[kms]\npin_file = ""', "line 2: kms.pin_file: must be a path"),
        ('region = "EU West"', "line 1: region: must match"),
        ("region = 1", "line 1: region: must be a string"),
        ("region = ", "not valid TOML"),
        ("region = " + "9" * 5000, "not valid TOML"),
        ("region = " + "[" * 5000, "not valid TOML"),
        ('[listen]\ntls_key = "k"', "tls_key is set without listen.tls_certificate"),
        ('[kms]\nuri = "pkcs11:token=x?pin-value=1234"', "must not hold a PIN"),
    ],
)
def test_wrong_settings_are_refused_with_name_and_line(text: str, complaint: str) -> None:
    message = refusal(text)
    assert message.startswith(str(PATH))
    assert complaint in message
    assert "1234" not in message


def test_environment_overrides_the_file() -> None:
    settings = read(
        'region = "a"\n[listen]\nworkers = 1',
        SEALGATE_REGION="b",
        SEALGATE_LISTEN_WORKERS="3",
        SEALGATE_LISTEN_DOMAINS="a.test, b.test",
        SEALGATE_LISTEN_IDLE_SECONDS="2.5",
        SEALGATE_STORAGE_FSYNC="off",
        SEALGATE_KMS_PIN_FILE="other",
        SEALGATE_CONFIG="is not ours",
    )
    assert (settings.region, settings.listen.workers, settings.listen.domains) == ("b", 3, ("a.test", "b.test"))
    assert (settings.listen.idle_seconds, settings.storage.fsync) == (2.5, False)
    assert settings.kms.pin_file == Path("/data/other")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("SEALGATE_LISTEN_WORKRES", "1", "SEALGATE_LISTEN_WORKRES: there is no such setting"),
        ("SEALGATE_LISTEN_WORKERS", "many", "SEALGATE_LISTEN_WORKERS: must be a whole number"),
        ("SEALGATE_STORAGE_FSYNC", "maybe", "SEALGATE_STORAGE_FSYNC: must be true or false"),
    ],
)
def test_wrong_variables_are_refused_by_name(name: str, value: str, complaint: str) -> None:
    assert complaint in refusal("", **{name: value})


def test_unreadable_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "absent.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "binary.toml", {})


@given(st.text(), st.integers(0, 256), st.booleans(), st.lists(st.text(max_size=20), max_size=4))
def test_written_settings_read_back(text: str, workers: int, fsync: bool, domains: list[str]) -> None:
    written = config.format_settings(
        {
            "": {},
            "listen": {"workers": workers, "domains": domains},
            "kms": {"uri": "pkcs11:" + text.replace("pin-value", "")},
        }
        | {"storage": {"fsync": fsync}}
    )
    settings = read(written)
    assert (settings.listen.workers, settings.listen.domains) == (workers, tuple(domains))
    assert settings.kms.uri == "pkcs11:" + text.replace("pin-value", "")
    assert settings.storage.fsync == fsync


def test_only_settings_can_be_written() -> None:
    with pytest.raises(ValueError, match="no such setting"):
        config.format_settings({"listen": {"workres": 1}})
    with pytest.raises(TypeError):
        toml_value(object())


@pytest.mark.parametrize(
    ("text", "parts"), [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:9000", ("::1", 9000)), ("name:80", ("name", 80))]
)
def test_addresses_parse_and_format(text: str, parts: tuple[str, int]) -> None:
    assert parse_address(text) == parts
    assert format_address(*parts) == text


@pytest.mark.parametrize("text", ["", "host", ":1", "h:", "h:x", "::1:9000", "h:-1", "[::1]", "a b:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_address(text)


def test_admin_takes_the_next_port() -> None:
    assert [next_port(f"h:{port}") for port in (9000, 0, 65_535)] == ["h:9001", "h:0", "h:0"]


def test_lines_are_found_in_inline_tables_and_quoted_keys() -> None:
    assert find_line('\nkms = { root = "x" }', "kms", "root") == 2
    assert find_line('["listen"]\n"workers" = 1', "listen", "workers") == 2
    assert find_line("", "listen", "workers") is None


def test_order_to_a_worker_survives_the_pipe() -> None:
    order = Order(
        settings=read('[listen]\ntls_certificate = "c"'), instance="worker-0", listen_fds=(3,), admin_fd=4, rates_fd=5
    )
    line = encode_order(order)
    assert line.count(b"\n") == 1
    assert decode_order(line) == order
