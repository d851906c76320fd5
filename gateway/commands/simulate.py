"""`sealgate simulate`: what would be decided about a request, without sending it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from gateway.commands.failures import Failure, default_place, load_settings
from gateway.commands.identity_store import told_failures
from gateway.commands.terminal import printable
from gateway.simulation import Answer, NotSimulated, Question, simulate
from gateway.statements import FoundStatement, Subject, statements_of
from iam.policy.given import Said, parse_given


@click.command("simulate")
@click.argument("place", metavar="[DATA]", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--principal", metavar="ARN", help="Who asks: a root user, a user, a role, or a session of a role.")
@click.option("--anonymous", is_flag=True, help="Nobody signed the request.")
@click.option("--action", required=True, metavar="ACTION", help="s3:GetObject, kms:Decrypt, iam:CreateUser, …")
@click.option("--resource", default="*", show_default=True, metavar="ARN", help="What it is done to.")
@click.option(
    "--context",
    "contexts",
    multiple=True,
    metavar="KEY=VALUE",
    help="A condition key of the request, such as aws:SourceIp=192.0.2.1 or kms:EncryptionContext:Dept=A; may be given "
    "several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate_command(
    *,
    place: Path | None,
    principal: str | None,
    anonymous: bool,
    action: str,
    resource: str,
    contexts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what would be decided about a request, by what is in force in DATA now; nothing is sent, and nothing done.

    DATA is a data directory or a configuration file.  [default: the working directory, or ./data]

    Keys that policies ask for and --context does not give are told: with them the decision may be another. Questions
    about buckets need the root, or a serving gateway, as `access-key create` does.
    """
    if (principal is None) is not anonymous:
        raise click.UsageError("say who asks: --principal ARN, or --anonymous")
    try:
        said = Said(parse_given(contexts))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--context") from error
    settings = load_settings(place or default_place())
    question = Question(principal, action, resource, said)
    with told_failures():
        try:
            answer = asyncio.run(simulate(settings, question))
        except NotSimulated as error:
            raise Failure(str(error)) from error
        statements = asyncio.run(statements_of(settings, answer.decided.decided_by, _subject(question, answer)))
    if as_json:
        click.echo(json.dumps(_document(question, answer, statements), indent=2, ensure_ascii=False))
        return
    for line in _told(question, answer, statements):
        click.echo(printable(line))


def _subject(question: Question, answer: Answer) -> Subject:
    arn = answer.decided.resource_arn
    account = (question.principal_arn or "").split(":")
    bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0] if arn.startswith("arn:aws:s3:::") else None
    return Subject(account[4] if len(account) > 5 else "", bucket, arn if ":kms:" in arn else None)


def _outcome(answer: Answer) -> str:
    return "allowed" if answer.decided.is_allowed else f"refused {answer.decided.because}"


def _document(question: Question, answer: Answer, statements: list[FoundStatement]) -> dict[str, object]:
    decided = answer.decided
    return {
        "principal": question.principal_arn,
        "action": decided.action,
        "resource": decided.resource_arn,
        "isAllowed": decided.is_allowed,
        "outcome": _outcome(answer),
        "decidedBy": decided.decided_by,
        "statements": [
            {"policy": each.policy, "statement": each.label.strip('"'), "text": each.text, "remark": each.remark}
            for each in statements
        ],
        "missingContextKeys": sorted(question.said.missing),
        "remarks": list(answer.remarks),
    }


def _told(question: Question, answer: Answer, statements: list[FoundStatement]) -> list[str]:
    decided = answer.decided
    told = [
        f"{decided.action} on {decided.resource_arn}",
        f"  by          {question.principal_arn or 'nobody'}",
        f"  outcome     {_outcome(answer)}",
        f"  decided by  {decided.decided_by}",
    ]
    told += [f"  but         {remark}" for remark in answer.remarks]
    if question.said.missing:
        told.append(f"  not known   {', '.join(sorted(question.said.missing))} (--context KEY=VALUE)")
    for each in statements:
        told += ["", f"{each.policy}, statement {each.label}:"]
        told += [f"  {line}" for line in json.dumps(each.text, indent=2).splitlines() if each.text is not None]
        told += [f"  ({each.remark})"] if each.remark is not None else []
    return told
