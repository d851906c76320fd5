from __future__ import annotations

import ctypes.util
import subprocess
import sys
from pathlib import Path

import pytest

from kms.hsm.errors import RootLost
from kms.hsm.interface import RootMisconfigured
from kms.hsm.module import load
from tests.kms.hsm.conftest import SoftToken


def test_a_missing_module_is_named() -> None:
    with pytest.raises(RootMisconfigured, match=r"/nowhere/module\.so"):
        load(Path("/nowhere/module.so"))


def test_a_library_that_is_no_module_is_refused(tmp_path: Path) -> None:
    library = tmp_path / "text.so"
    library.write_text("no library")
    with pytest.raises(RootMisconfigured, match="cannot load"):
        load(library)


def test_a_library_without_function_list_is_refused() -> None:
    library = ctypes.util.find_library("c")
    assert library is not None
    with pytest.raises(RootMisconfigured, match="cannot load"):
        load(Path(library))


@pytest.mark.hsm
def test_one_module_for_each_file(token: SoftToken) -> None:
    assert load(token.uri.module_path) is load(token.uri.module_path.resolve())


@pytest.mark.hsm
def test_many_reports_of_one_loss_make_one_restart(token: SoftToken) -> None:
    module = token.module
    module.ready()
    generation = module.generation
    module.ready()
    assert module.generation == generation
    for _ in range(3):
        module.suspect(generation)
    module.ready()
    assert module.generation == generation + 1
    module.suspect(generation)  # a late report about sessions that are gone anyway
    module.ready()
    assert module.generation == generation + 1


@pytest.mark.hsm
def test_a_module_that_does_not_initialise_is_a_loss_and_tried_again(token: SoftToken) -> None:
    token.pull()
    for _ in range(2):
        with pytest.raises(RootLost, match="does not initialise"):
            token.module.ready()
    token.put_back()
    token.module.ready()


@pytest.mark.hsm
def test_a_module_initialised_by_somebody_else_is_refused(token: SoftToken) -> None:
    """In a process of its own: whether the other one promised to use it from one thread only cannot be known."""
    program = (
        "import sys, pkcs11\n"
        "from pathlib import Path\n"
        "from kms.hsm.interface import RootMisconfigured\n"
        "from kms.hsm.module import load\n"
        "other = pkcs11.lib(sys.argv[1])\n"
        "try:\n"
        "    load(Path(sys.argv[1])).ready()\n"
        "except RootMisconfigured as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(token.uri.module_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "something else in this process initialised" in done.stdout
