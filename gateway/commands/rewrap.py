"""`sealgate rewrap`, `sealgate jobs`: data keys of many objects wrapped anew."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.commands.failures import PROBLEM, Failure, load_settings
from gateway.commands.identities import ACCOUNT
from gateway.commands.identity_store import JSON, PLACE, format_time, told_failures
from gateway.commands.keys import described, root_caller
from gateway.commands.opened import opened_keys, opened_stores, print_integrity_event
from gateway.commands.progress import Progress
from gateway.commands.terminal import printable, size_text
from gateway.config import Settings
from gateway.operations.jobs.rewrap_jobs import ENDED, JobState, RewrapDocument, RewrapJob, RewrapJobs
from gateway.operations.jobs.rewrap_runner import RewrapRunner
from gateway.storage.errors import NoSuchJob
from kms.api.service import KeyService

LOOK_SECONDS = 0.5
"""Between two looks at a job that another process goes on with."""

_JOB = click.argument("job_id", metavar="JOB")


@dataclass(frozen=True, slots=True)
class _Opened:
    kms: KeyService
    jobs: RewrapJobs
    runner: RewrapRunner


@click.command("rewrap")
@PLACE
@click.option("--key", required=True, metavar="KEY", help="The KMS key whose objects are looked at: id, ARN or alias.")
@click.option("--to", metavar="KEY", help="The KMS key that wraps them then.  [default: the newest version of --key]")
@click.option("--bucket", metavar="BUCKET", help="Only objects of this bucket.")
@click.option("--prefix", default="", metavar="PREFIX", help="Only objects whose keys begin so.")
@click.option(
    "--objects-per-second", type=click.FloatRange(min=0), default=0.0, metavar="N", help="At most.  [default: no limit]"
)
@click.option(
    "--reencrypt",
    is_flag=True,
    help="Seal the data anew, each version under a new data key, which no older wrap opens. Reads and writes it all.",
)
@click.option("--dry-run", is_flag=True, help="Open each data key, and change nothing: tells what would fail, and why.")
@click.option("--detach", is_flag=True, help="Leave the work to the gateway that serves DATA, now or later.")
@ACCOUNT
@JSON
def rewrap(
    *,
    place: Path,
    key: str,
    to: str | None,
    bucket: str | None,
    prefix: str,
    objects_per_second: float,
    dry_run: bool,
    reencrypt: bool,
    detach: bool,
    account: str | None,
    as_json: bool,
) -> None:
    """Wrap the data keys of all object versions under a KMS key anew, in DATA, while it is served or stopped.

    No data moves, and nothing else of an object changes. This command does the work and shows how far it is; when it is
    ended, the gateway goes on with the job, and `sealgate jobs` tells of it. Exits with 1 if a version was refused.
    """
    settings = load_settings(place)
    with told_failures():
        job = asyncio.run(
            _rewrap(
                settings,
                key=key,
                to=to,
                account=account,
                asked=RewrapDocument(
                    "",
                    "",
                    bucket=bucket,
                    prefix=prefix,
                    dry_run=dry_run,
                    reencrypt=reencrypt,
                    objects_per_second=objects_per_second,
                ),
                detach=detach,
            )
        )
    _tell(job, as_json)
    if job.document.failed:
        click.get_current_context().exit(PROBLEM)


@click.group()
def jobs() -> None:
    """Jobs of `sealgate rewrap`: how far they are; pause, resume or cancel one."""


@jobs.command("list")
@PLACE
@JSON
def list_command(place: Path, as_json: bool) -> None:
    """List the jobs, the newest first."""
    settings = load_settings(place)
    with told_failures():
        found = asyncio.run(_list(settings))
    if as_json:
        click.echo(json.dumps([_document(job) for job in found], indent=2))
        return
    for job in found:
        document = job.document
        counts = f"{document.done} of {document.total} done, {sum(document.failed.values())} refused"
        click.echo(f"{job.job_id}  {format_time(job.row.created_us)}  {job.state:9}  {counts}  {document.key_arn}")


@jobs.command("status")
@PLACE
@_JOB
@click.option("--failed", is_flag=True, help="Name the versions that were refused, up to a thousand, each with why.")
@JSON
def status_command(place: Path, job_id: str, failed: bool, as_json: bool) -> None:
    """Tell how far JOB is, and what it counted."""
    settings = load_settings(place)
    with told_failures():
        job = asyncio.run(_change(settings, job_id, None))
    _tell(job, as_json)
    if failed and not as_json:
        for each in job.document.failures:
            click.echo(printable(f"{each.reason}  {each.bucket}/{each.key}  {each.version_id}"))


def _state_command(name: str, state: JobState, text: str) -> None:
    @jobs.command(name, help=text)
    @PLACE
    @_JOB
    @JSON
    def command(place: Path, job_id: str, as_json: bool) -> None:
        settings = load_settings(place)
        with told_failures():
            _tell(asyncio.run(_change(settings, job_id, state)), as_json)


_state_command("pause", JobState.PAUSED, "Let JOB rest until it is resumed. What is done stays done.")
_state_command("resume", JobState.ACTIVE, "Let the gateway go on with JOB.")
_state_command("cancel", JobState.CANCELLED, "End JOB for good. What is done stays done.")


async def _rewrap(
    settings: Settings, *, key: str, to: str | None, account: str | None, asked: RewrapDocument, detach: bool
) -> RewrapJob:
    async with _opened(settings) as opened:
        key_arn = await _arn(settings, opened.kms, key, account)
        target = key_arn if to is None else await _arn(settings, opened.kms, to, account)
        job = await opened.jobs.begin(msgspec.structs.replace(asked, key_arn=key_arn, to=target))
        if detach:
            return job
        with Progress("object versions") as progress:
            return await _follow(opened, job, progress)


async def _arn(settings: Settings, kms: KeyService, key: str, account: str | None) -> str:
    metadata = await described(kms, root_caller(settings, key, account), key)
    if metadata is None:
        raise Failure(f"there is no key {key}")
    return metadata.key_arn


async def _follow(opened: _Opened, job: RewrapJob, progress: Progress) -> RewrapJob:
    """Until it ends, or somebody pauses it."""
    working = asyncio.create_task(opened.runner.run(job.job_id))
    try:
        while job.state is JobState.ACTIVE:
            await asyncio.wait([working], timeout=LOOK_SECONDS)
            job = await opened.jobs.get(job.job_id)
            progress.update(job.document.seen, job.document.total)
            if working.done():
                working.result()
                if job.state is JobState.ACTIVE:  # another process has it
                    await asyncio.sleep(LOOK_SECONDS)
                    working = asyncio.create_task(opened.runner.run(job.job_id))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return job


async def _list(settings: Settings) -> list[RewrapJob]:
    async with _opened(settings) as opened:
        return await opened.jobs.list()


async def _change(settings: Settings, job_id: str, state: JobState | None) -> RewrapJob:
    async with _opened(settings) as opened:
        try:
            return await (opened.jobs.get(job_id) if state is None else opened.jobs.set_state(job_id, state))
        except NoSuchJob as error:
            raise Failure(f"there is no job {job_id}") from error


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Opened]:
    """All that a job needs, beside a gateway that serves or without one."""
    async with (
        opened_stores(settings) as stores,
        opened_keys(settings, stores.index, request_id="rewrap") as keys,
    ):
        found = RewrapJobs(stores.index, keys.rows, print_integrity_event)
        runner = RewrapRunner(
            found,
            kms=keys.kms,
            index=stores.index,
            blobs=stores.blobs,
            rows=keys.rows,
            data_keys=keys.data_keys,
            inline_limit_bytes=settings.storage.inline_bytes,
            integrity_event=print_integrity_event,
            owner=stores.owner,
            via_service=f"s3.{settings.region}.amazonaws.com",
        )
        yield _Opened(keys.kms, found, runner)


def _document(job: RewrapJob) -> dict[str, Any]:
    document = job.document
    return {
        "jobId": job.job_id,
        "state": job.state.value,
        "keyArn": document.key_arn,
        "toKeyArn": document.to,
        "bucket": document.bucket,
        "prefix": document.prefix,
        "dryRun": document.dry_run,
        "reencrypt": document.reencrypt,
        "total": document.total,
        "seen": document.seen,
        "done": document.done,
        "doneBytes": document.done_bytes,
        "passed": document.passed,
        "refused": document.failed,
        "waitingFor": document.waiting,
        "begun": format_time(document.begun_us),
        "ended": None if document.ended_us is None else format_time(document.ended_us),
        "refusals": [msgspec.structs.asdict(each) for each in document.failures],
    }


def _tell(job: RewrapJob, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_document(job), indent=2, ensure_ascii=False))
        return
    document = job.document
    verb = "would be" if document.dry_run else "are"
    click.echo(f"Job {job.job_id} is {job.state}.")
    under = document.to if document.to != document.key_arn else f"the newest version of {document.to}"
    click.echo(f"{document.done} object versions ({size_text(document.done_bytes)}) {verb} under {under}.")
    if document.passed:
        click.echo(f"{document.passed} were not asked for, or were deleted or moved meanwhile")
    for reason, count in sorted(document.failed.items()):
        click.echo(f"{count} refused: {reason}")
    if document.waiting is not None and job.state not in ENDED:
        click.echo(printable(f"It waits: {document.waiting}"))
