"""Builds the fault-injecting module with whatever C compiler there is.

Not a dependency: the tests that use the module need a real PKCS#11 module too, which comes from the same package
manager as a compiler. A machine that has a token's module and no compiler can `pip install ziglang`, a compiler in a
wheel; at 80 MB it is not asked of everybody.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
_OPTIONS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden")


def find_compiler() -> list[str] | None:
    """The command of $CC, cc, gcc, clang or the ziglang package, None where there is none of them."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    return None


def build(compiler: list[str], directory: Path) -> Path:
    """Compile the module into `directory`; its path. Raises CalledProcessError, the compiler having said why."""
    library = directory / "libhsmfaults.so"
    command = [*compiler, *_OPTIONS, "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=300)
    return library
