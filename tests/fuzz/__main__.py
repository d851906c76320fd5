"""`python -m tests.fuzz TARGET --seconds N`: run one target, `all` of them one after the other, or `http`.

With atheris installed (`pip install -e '.[fuzz]'`) a target runs guided by coverage; else, or with `--engine own`, by
the mutations of `tests.fuzz.engine`. An input that breaks a target is written to `--found` and belongs into the corpus.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.target import Target


MAX_WORD_BYTES = 64
"""libFuzzer takes no longer ones."""


def main() -> int:
    options = _options()
    if options.target == "http":
        from tests.fuzz.http import fuzz_http

        return fuzz_http(options.seconds, options.seed, Path(options.found))
    targets = _load(options.engine == "atheris" and not options.inputs)
    if options.target not in (*targets, "all"):
        print(f"no target {options.target!r}; there are: http, all, {', '.join(targets)}", file=sys.stderr)
        return 2
    chosen = list(targets.values()) if options.target == "all" else [targets[options.target]]
    if options.inputs:
        return _replay(chosen[0], [Path(each) for each in options.inputs])
    if options.engine == "atheris" and len(chosen) == 1:
        _run_atheris(chosen[0], options.seconds, options.seed, Path(options.found))
    return max(_run_own(target, options.seconds, options.seed, Path(options.found)) for target in chosen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="a target's name, all, or http; a wrong one names them")
    parser.add_argument("inputs", nargs="*", help="files to try, instead of fuzzing")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--engine", choices=("atheris", "own"), default=None)
    parser.add_argument("--found", default=tempfile.gettempdir(), help="where inputs that break something are written")
    options = parser.parse_args()
    if options.engine is None:
        options.engine = "atheris" if importlib.util.find_spec("atheris") and options.target != "all" else "own"
    return options


def _load(is_instrumented: bool) -> dict[str, Target]:
    """The targets; the code that they try is instrumented while it is imported."""
    if is_instrumented:
        import atheris

        with atheris.instrument_imports(include=["database", "gateway", "iam", "kms"]):
            import tests.fuzz.targets
    else:
        import tests.fuzz.targets  # noqa: F401
    from tests.fuzz.target import TARGETS

    return TARGETS


def _replay(target: Target, paths: list[Path]) -> int:
    from tests.fuzz.engine import run_one

    for path in paths:
        print(f"{path}: {run_one(target, path.read_bytes())}")
    return 0


def _run_own(target: Target, seconds: float, seed: int, directory: Path) -> int:
    from tests.fuzz.engine import fuzz

    counted = (0, 0)

    def told(tried: int, outcomes: int) -> None:
        nonlocal counted
        counted = (tried, outcomes)

    found = fuzz(target, seconds=seconds, seed=seed, told=told)
    print(f"{target.name}: seed {seed}, {counted[0]} inputs, {counted[1]} outcomes", flush=True)
    if found is None:
        return 0
    path = directory / f"{target.name}-{sha256(found.data).hexdigest()[:12]}"
    path.write_bytes(found.data)
    print(f"{target.name}: BROKEN by {path}: {type(found.error).__name__}: {str(found.error)[:300]}", flush=True)
    return 1


def _run_atheris(target: Target, seconds: float, seed: int, directory: Path) -> None:
    """Does not return: libFuzzer ends the process, with 77 if it found something."""
    import atheris

    from tests.fuzz.engine import run_one
    from tests.fuzz.target import CORPUS, MAX_INPUT_BYTES

    work = Path(tempfile.mkdtemp(prefix=f"fuzz-{target.name}-"))
    words = work / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words if 0 < len(word) <= MAX_WORD_BYTES))
    (work / "corpus").mkdir()
    arguments = [
        sys.argv[0],
        str(work / "corpus"),
        str(CORPUS / target.name),
        f"-max_total_time={int(seconds)}",
        f"-seed={seed % 2**32 or 1}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-dict={words}",
        f"-artifact_prefix={directory}/{target.name}-",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]

    def try_one(data: bytes) -> None:
        run_one(target, data)

    atheris.Setup(arguments, try_one)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
