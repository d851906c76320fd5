"""`sealgate blob`: work on single blob files, without the gateway."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.blob_open import BlobError, Keys, open_blob, open_source, read_envelope, read_keys, wrapped_bucket_key
from gateway.commands.blob_keys import KMSRefusal, keys_from_kms
from gateway.commands.failures import Failure
from gateway.commands.service_key import service_key_command

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_BLOB = click.Path(dir_okay=False, path_type=Path)
_KEY_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


@click.group()
def blob() -> None:
    """Work on a single blob file, without the gateway."""


@blob.command("open")
@click.argument("path", metavar="BLOB", type=_BLOB)
@click.option(
    "--key-file", type=_KEY_FILE, help='The data key: 32 bytes or 64 hexadecimal digits; "-" reads standard input.'
)
@click.option("--second-key-file", type=_FILE, help="The second data key, for a blob of two layers (DSSE-KMS).")
@click.option(
    "--service-key-file",
    type=_FILE,
    help="The service's key, in place of the data key of an object by SSE-S3, or of the second one by DSSE-KMS.",
)
@click.option(
    "--customer-key-file",
    type=_KEY_FILE,
    help="In place of the data key, the customer's key of an object by SSE-C: the same forms, or Base64.",
)
@click.option(
    "--bucket-key-file",
    type=_KEY_FILE,
    help="In place of the data key, the bucket key of an object by SSE-KMS with one; see `sealgate blob bucket-key`.",
)
@click.option(
    "--kms-endpoint",
    metavar="URL",
    help="In place of the data key or the bucket key: ask this KMS to decrypt it, with the credentials that the AWS "
    "SDKs find (environment, profile, …).",
)
@click.option(
    "--blobs",
    "places",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="PLACE",
    help="Where other blobs lie: a directory, such as DATA/store/blobs, or DATA/index/index.sqlite for small ones. A "
    "manifest is opened as the whole object then, and BLOB may be an id. May be repeated.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the plaintext goes; it appears there only when all of it was verified. Default: standard output.",
)
@click.option(
    "--descriptor",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the object's metadata, as JSON, to this file.",
)
def open_command(
    path: Path,
    *,
    key_file: Path | None,
    second_key_file: Path | None,
    service_key_file: Path | None,
    customer_key_file: Path | None,
    bucket_key_file: Path | None,
    kms_endpoint: str | None,
    places: tuple[Path, ...],
    output: Path | None,
    descriptor: Path | None,
) -> None:
    """Decrypt and verify BLOB with its data key, using nothing but the file and the key.

    The same program runs alone: python gateway/blob_open.py.
    """
    first = [each for each in (key_file, customer_key_file, bucket_key_file, kms_endpoint) if each is not None]
    if len(first) > 1 or not (first or service_key_file):
        raise click.UsageError(
            "Give one of --key-file, --customer-key-file, --bucket-key-file, --kms-endpoint and --service-key-file."
        )
    if second_key_file is not None and service_key_file is not None:
        raise click.UsageError("Give one of --second-key-file and --service-key-file.")
    try:
        keys = read_keys((key_file, second_key_file), customer_key_file, bucket_key_file, service_key_file)
        if kms_endpoint is not None:
            keys = _with_kms(path, places, keys, kms_endpoint)
        open_blob(path, keys, output, descriptor, places)
    except (BlobError, KMSRefusal, OSError) as error:
        raise Failure(f"{path}: {error}") from error


def _with_kms(path: Path, places: tuple[Path, ...], keys: Keys, endpoint: str) -> Keys:
    with open_source(path, places) as file:
        return keys_from_kms(read_envelope(file), keys, endpoint)


@blob.command("bucket-key")
@click.argument("path", metavar="BLOB", type=_FILE)
def bucket_key_command(path: Path) -> None:
    """What the KMS needs to give the bucket key of BLOB, as JSON for `aws kms decrypt --cli-input-json`.

    Its answer, Plaintext in Base64, goes into the file of `sealgate blob open --bucket-key-file`.
    """
    try:
        with path.open("rb") as file:
            click.echo(wrapped_bucket_key(file))
    except (BlobError, OSError) as error:
        raise Failure(f"{path}: {error}") from error


blob.add_command(service_key_command)
