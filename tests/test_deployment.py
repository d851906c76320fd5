"""The files under conf/ that others read: systemd, HAProxy, Compose, Kubernetes; as far as this machine can tell."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway import config
from tests.harness import REPOSITORY

CONF = REPOSITORY / "conf"
MOST_EXPOSED = 20
"""Tenths of what `systemd-analyze security` counts; the worst is 100."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, whose program is there, unlike that of a machine where nothing was installed."""
    text = (CONF / "systemd" / "sealgate.service").read_text(encoding="utf-8")
    made = tmp_path / "sealgate.service"
    made.write_text(text.replace("/opt/sealgate/bin/sealgate", "/bin/true"), encoding="utf-8")
    return made


def run(*command: str | Path) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_unit_is_one(unit: Path) -> None:
    assert run("systemd-analyze", "verify", unit) == ""


def test_the_unit_may_do_little(unit: Path) -> None:
    run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)


def test_the_unit_gives_the_gateway_what_it_asks_for() -> None:
    text = (CONF / "systemd" / "sealgate.service").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert (settings["LimitMEMLOCK"], settings["LimitCORE"], settings["KillMode"]) == ("infinity", "0", "mixed")
    assert int(settings["TimeoutStopSec"]) > 30  # listen.drain_seconds


def test_haproxys_configuration(tmp_path: Path) -> None:
    text = (CONF / "haproxy.cfg").read_text(encoding="utf-8")
    made = tmp_path / "haproxy.cfg"
    made.write_text(re.sub(r"gateway-\d:9000", "127.0.0.1:9000", text), encoding="utf-8")
    run("haproxy", "-c", "-f", made)


def test_the_manifests() -> None:
    """That they are YAML, and that what they mount and name is there; their schema is checked by hand."""
    directory = CONF / "kubernetes"
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text(encoding="utf-8"))
    found = []
    for name in kustomization["resources"]:
        found += list(yaml.safe_load_all((directory / name).read_text(encoding="utf-8")))
    (gateways,) = (each for each in found if each["kind"] == "StatefulSet")
    pod = gateways["spec"]["template"]["spec"]
    volumes = {
        each["name"] for each in (*pod["volumes"], *(c["metadata"] for c in gateways["spec"]["volumeClaimTemplates"]))
    }
    for container in (*pod["initContainers"], *pod["containers"]):
        assert {each["name"] for each in container["volumeMounts"]} <= volumes
        assert container["securityContext"]["readOnlyRootFilesystem"]
    settings = config.load(directory / "sealgate.toml", {})
    assert pod["terminationGracePeriodSeconds"] > settings.listen.drain_seconds
    ports = {each["name"]: each["containerPort"] for each in pod["containers"][0]["ports"]}
    assert (settings.listen.address, settings.admin.address) == (f"0.0.0.0:{ports['s3']}", f"0.0.0.0:{ports['admin']}")


def test_the_compose_file() -> None:
    """That what it names is there; its schema is checked by hand."""
    found = yaml.safe_load((CONF / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    services = found["services"]
    assert {"gateway-1", "gateway-2", "postgres", "haproxy"} <= set(services)
    for service in services.values():
        for named in service.get("secrets", ()):
            assert named in found["secrets"]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in found["volumes"] or (CONF / "compose" / source).exists()
        assert set(service.get("depends_on", ())) <= set(services)
    for each in found["configs"].values():
        assert (CONF / "compose" / each["file"]).exists()
    run("sh", "-n", CONF / "compose" / "node.sh")
    environment = {name: str(value) for name, value in services["gateway-1"]["environment"].items()}
    del environment["INDEX"]
    config.parse("", CONF / "sealgate.toml", environment)  # refuses what is no setting
