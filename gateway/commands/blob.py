"""`sealgate blob`: work on single blob files, without the gateway."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.blob_open import BlobError, open_blob, wrapped_bucket_key
from gateway.commands.failures import Failure

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEY_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


@click.group()
def blob() -> None:
    """Work on a single blob file, without the gateway."""


@blob.command("open")
@click.argument("path", metavar="BLOB", type=_FILE)
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
    output: Path | None,
    descriptor: Path | None,
) -> None:
    """Decrypt and verify BLOB with its data key, using nothing but the file and the key.

    The same program runs alone: python gateway/blob_open.py.
    """
    first = [each for each in (key_file, customer_key_file, bucket_key_file) if each is not None]
    if len(first) > 1 or not (first or service_key_file):
        raise click.UsageError("Give one of --key-file, --customer-key-file, --bucket-key-file and --service-key-file.")
    if second_key_file is not None and service_key_file is not None:
        raise click.UsageError("Give one of --second-key-file and --service-key-file.")
    keys = [each for each in (key_file, second_key_file) if each is not None]
    try:
        open_blob(
            path,
            keys,
            output,
            descriptor,
            customer_key_file=customer_key_file,
            bucket_key_file=bucket_key_file,
            service_key_file=service_key_file,
        )
    except (BlobError, OSError) as error:
        raise Failure(f"{path}: {error}") from error


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
