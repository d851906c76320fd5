"""Files that nobody but the owner may read, and the lines in them that point AWS clients at the gateway."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

DEV_ENV = "dev.env"
_ENDPOINT = "AWS_ENDPOINT_URL"


class NotPrivate(ValueError):
    """A file that only its owner may read is open to others, or longer than it can be."""


def read_private(path: Path, limit: int) -> bytes:
    """A file of at most `limit` bytes to which group and others have no access. Raises NotPrivate, OSError."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(limit + 1)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NotPrivate(f"{path}: is open to others: chmod 600 it")
    if len(content) > limit:
        raise NotPrivate(f"{path}: has more than {limit} bytes")
    return content


def write_private(path: Path, content: str) -> None:
    """Write a file of mode 0600, whole or not at all, durable when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def format_dev_env(endpoint_url: str, access_key_id: str, secret_access_key: str, region: str) -> str:
    """Lines of `export NAME=value`, for a shell to read."""
    variables = {
        _ENDPOINT: endpoint_url,
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_access_key,
        "AWS_DEFAULT_REGION": region,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def rewrite_endpoint(data_directory: Path, endpoint_url: str) -> str:
    """Put the address in use into DATA/dev.env, keeping its other lines; returns the new text. Raises OSError."""
    path = data_directory / DEV_ENV
    old = path.read_text("utf-8").splitlines() if path.exists() else []
    kept = [line for line in old if not line.startswith(f"export {_ENDPOINT}=")]
    text = "\n".join([f"export {_ENDPOINT}={shlex.quote(endpoint_url)}", *kept]) + "\n"
    write_private(path, text)
    return text
