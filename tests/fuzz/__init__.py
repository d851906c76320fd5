"""Fuzzing: every parser of what comes from outside, and the whole gateway over a socket.

`python -m tests.fuzz TARGET --seconds N` runs one, `--help` names them. A target is a function of bytes that states its
invariant in its docstring (`targets/`); its corpus lies in `corpus/TARGET/`, with every input that ever broke it. The
tests here replay the corpora and run each target for a moment with a fixed seed.
"""
