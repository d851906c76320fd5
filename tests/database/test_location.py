from __future__ import annotations

import pytest

from database.location import check_url, hosts_of, is_local, is_remote, verifies_server


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://sealgate@/index",
        "postgresql://sealgate@localhost:5433/index",
        "postgres://sealgate@[::1]/index",
        "postgresql://sealgate@127.0.0.1,127.0.0.2:5433/index?target_session_attrs=read-write",
        "postgresql://sealgate@/index?host=%2Frun%2Fpostgresql",
        "postgresql://sealgate@db.example.com/index?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem",
        "postgresql://sealgate@a.example.com,b.example.com:5433/index?sslmode=require",
    ],
)
def test_a_url_is_taken(text: str) -> None:
    check_url(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mysql://sealgate@localhost/index", "expected"),
        ("postgresql", "expected"),
        ("postgresql://sealgate:hush@localhost/index", "password_file"),
        ("postgresql://sealgate:@localhost/index", "password_file"),
        ("postgresql://sealgate@localhost/index?password=hush", "password_file"),
        ("postgresql://sealgate@localhost/index?passfile=hush", "password_file"),
        ("postgresql://sealgate@localhost/index?search_path=hush", "unknown options"),
        ("postgresql://sealgate@localhost/index#hush", "unknown options"),
        ("postgresql://localhost/index", "no user"),
        ("postgresql://sealgate@localhost/", "no database"),
        ("postgresql://sealgate@localhost", "no database"),
        ("postgresql://sealgate@db.example.com/index", "sslmode"),
        ("postgresql://sealgate@10.0.0.1/index", "sslmode"),
        ("postgresql://sealgate@localhost,db.example.com/index", "sslmode"),
        ("postgresql://sealgate@localhost/index?host=db.example.com", "sslmode"),
        ("postgresql://sealgate@[::1/index", "IPv6"),
        ("postgresql://sealgate@db.example.com/index?sslmode=prefer", "sslmode is one of"),
        ("postgresql://sealgate@localhost/index?sslmode=allow", "sslmode is one of"),
        ("postgresql://sealgate@localhost/index?sslmode=hush", "sslmode is one of"),
    ],
)
def test_a_url_is_refused_and_not_quoted(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        check_url(text)
    assert "hush" not in str(caught.value)


def test_hosts() -> None:
    assert hosts_of("postgresql://u@/d") == ("",)
    assert hosts_of("postgresql://u@a:1,[::1]:2,b/d") == ("a", "::1", "b")
    assert hosts_of("postgresql://u@%2Frun/d") == ("/run",)
    assert hosts_of("postgresql://u@a/d?host=/run,b") == ("/run", "b")
    assert [is_local(host) for host in ("", "/run", "localhost", "127.8.8.8", "::1")] == [True] * 5
    assert [is_local(host) for host in ("10.0.0.1", "localhost.example.com", "fe80::1", "db")] == [False] * 4


def test_who_is_verified() -> None:
    modes = ("disable", "require", "verify-ca", "verify-full")
    urls = [f"postgresql://u@db.example.com/d?sslmode={mode}" for mode in modes]
    assert [verifies_server(url) for url in urls] == [False, False, True, True]
    assert all(is_remote(url) for url in urls)
    assert not is_remote("postgresql://u@localhost,[::1]/d")
    assert not verifies_server("postgresql://u@/d")
