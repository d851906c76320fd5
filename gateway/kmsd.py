"""How kmsd is started: its order out of our settings. No secret is in it; kmsd reads the PIN's file itself."""

from __future__ import annotations

from pathlib import Path

from gateway.config import Settings
from gateway.processes import Command
from kms.audit.trail import TrailSettings
from kms.daemon.settings import DaemonSettings, RootSettings
from kms.hsm.provision import write_softhsm_config

ROOT_SHARE = 0.8
"""Part of a call's deadline that the root may take: kmsd's precise refusal arrives before the caller gives up."""


def root_settings(settings: Settings) -> RootSettings:
    """The root of these settings, as the KMS is told."""
    kms = settings.kms
    return RootSettings(
        kind=kms.root,
        uri=kms.uri,
        pin_file=kms.pin_file,
        softhsm_conf=kms.softhsm_conf,
        driver_file=kms.driver_file,
        root_file=kms.root_file if kms.root == "file" else None,
    )


def trail_settings(settings: Settings) -> TrailSettings:
    """The audit trail of these settings, as the KMS is told."""
    audit = settings.audit
    return TrailSettings(
        directory=audit.directory,
        is_synced_first=audit.sync == "before_answer",
        fails_closed=audit.fail_closed,
        rotate_bytes=audit.rotate_bytes,
        rotate_seconds=audit.rotate_seconds,
        checkpoint_seconds=audit.checkpoint_seconds,
    )


def kmsd_command(
    settings: Settings,
    listen_fd: int,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    *,
    kept: tuple[int, ...],
    is_successor: bool,
) -> Command:
    """The command that runs kmsd on the inherited socket `listen_fd`; descriptors `kept` stay open in it, unused.

    A successor stands by until the kmsd that serves has ended.
    """
    order = DaemonSettings(
        keys_path=settings.keys_path,
        key_database=settings.key_database,
        epoch_path=settings.epoch_path,
        region=settings.region,
        other_regions=settings.kms.other_regions,
        root=root_settings(settings),
        audit=trail_settings(settings),
        listen_fd=listen_fd,
        is_successor=is_successor,
        protection=settings.kms.protection,
        lease_seconds=settings.kms.lease_seconds,
        root_deadline_seconds=settings.kms.call_seconds * ROOT_SHARE,
        hang_seconds=settings.kms.hang_seconds,
        log_level=settings.log.level,
    )
    return Command(
        name="kmsd", arguments=arguments, order=order.to_json(), descriptors=(listen_fd, *kept), environment=environment
    )


def moved_token_directory(settings: Settings) -> Path | None:
    """Where SoftHSM's tokens are now, if the data directory was moved and SoftHSM's configuration names the old place.

    Only a configuration inside the data directory is ours to look at. Raises OSError.
    """
    config = settings.kms.softhsm_conf
    if config is None or not config.is_relative_to(settings.data_directory) or not config.exists():
        return None
    tokens = config.parent.resolve() / "tokens"
    is_named = f"directories.tokendir = {tokens}" in config.read_text("utf-8").splitlines()
    return tokens if tokens.is_dir() and not is_named else None


def follow_moved_tokens(settings: Settings) -> bool:
    """Correct SoftHSM's configuration after the data directory was moved; True if it had to be. Raises OSError."""
    tokens = moved_token_directory(settings)
    if tokens is None:
        return False
    write_softhsm_config(tokens.parent)
    return True
