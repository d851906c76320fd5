"""Strict reading of TOML and environment into frozen dataclasses whose fields were declared with `setting`.

Knows nothing of the settings themselves (they stand in `gateway.config`). tomllib reports values without positions,
so the line of a complaint is found by scanning the text for the setting's name below its section's heading.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
PREFIX = "SEALGATE_"
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.%a-z]+\]|[^\s\[\]:]+):[0-9]{1,5}")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class ConfigError(ValueError):
    """A setting or the file as a whole is wrong; the message names file, line and setting."""


@dataclass(frozen=True, slots=True)
class _Rule:
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    address: bool = False
    check: Callable[[Any], object] | None = None
    relative_to_data: bool = False
    required: bool = False


def setting(default: T, help_text: str, **rule: Any) -> T:
    """A dataclass field with its meaning (unit included) and limits; see `_Rule` for the keywords.

    `check` raises a ValueError for a value that is none; what it returns does not matter.
    Typed as the default's own type, as `dataclasses.field` is.
    """
    declared: T = field(default=default, metadata={"rule": _Rule(help_text, **rule)})
    return declared


class Reader:
    """Reads one document. `environment` wins over the text."""

    def __init__(self, text: str, path: Path, environment: Mapping[str, str]) -> None:
        self._text = text
        self._path = path
        self._environment = environment
        self._base = path.absolute().parent

    def read(self, kind: type[T]) -> T:
        """The whole document as `kind`: dataclass-typed fields are its sections, tuples of a dataclass tables of which
        there may be any number (`[[name]]`)."""
        try:
            document = tomllib.loads(self._text)
        except (ValueError, RecursionError) as error:  # an integer of too many digits, arrays nested too deeply
            raise ConfigError(f"{self._path}: not valid TOML: {error}") from error
        sections, tables = section_types(kind), table_types(kind)
        self._refuse_unknown_variables(kind, sections)
        later = frozenset({*sections, *tables})
        top = {name: value for name, value in document.items() if name not in later}
        values = self._section("", kind, top, skip=later)
        # Paths below are relative to the data directory, which is itself relative to the file.
        self._base = values.get("data_directory", self._base)
        for name, section in sections.items():
            table = document.get(name, {})
            if not isinstance(table, dict):
                self._refuse(name, "", f"is a section, not a value: write [{name}]")
            values[name] = section(**self._section(name, section, table))
        for name, table_kind in tables.items():
            values[name] = self._tables("", name, table_kind, document)
        return kind(**values)

    def _tables(self, section: str, name: str, kind: type[Any], document: Mapping[str, Any]) -> tuple[Any, ...]:
        """Each is a section of its own, which messages call `name[1]` and so on."""
        dotted = f"{section}.{name}" if section else name
        found = document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            heading = re.sub(r"\[[0-9]+\]", "", dotted)
            self._refuse(name, section, f"is a list of tables: write [[{heading}]]")
        return tuple(kind(**self._section(f"{dotted}[{number}]", kind, table)) for number, table in enumerate(found, 1))

    def _section(
        self, section: str, kind: type[Any], table: Mapping[str, Any], skip: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        hints = get_type_hints(kind)
        known = {each.name: each for each in fields(kind) if each.name not in skip}
        for name in table:
            if name not in known:
                self._refuse(name, section, "is unknown" + _suggestion(name, [*known, *skip]))
        return {name: self._value(section, each, hints[name], table) for name, each in known.items()}

    def _value(self, section: str, each: Field[Any], hint: Any, table: Mapping[str, Any]) -> Any:
        rule: _Rule = each.metadata["rule"]
        table_kind = _table_kind(hint)
        if table_kind is not None:
            return self._tables(section, each.name, table_kind, table)
        variable = _variable(section, each.name)
        if variable in self._environment:
            where = f"environment variable {variable}"
            value = _from_text(self._environment[variable], hint)
        elif each.name in table:
            where = self._where(section, each.name)
            value = table[each.name]
        else:
            assert each.default is not MISSING
            if rule.required:
                self._refuse(each.name, section, "is missing")
            return self._resolved(each.default, rule, each.name)
        try:
            return self._resolved(_checked(value, hint, rule), rule, each.name)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error

    def _resolved(self, value: Any, rule: _Rule, name: str) -> Any:
        if isinstance(value, Path) and (rule.relative_to_data or name == "data_directory"):
            return Path(self._base / value.expanduser()) if str(value) != "." else self._base
        return value

    def _where(self, section: str, name: str) -> str:
        line = find_line(self._text, section, name) or find_line(self._text, "", section)
        dotted = f"{section}.{name}" if section else name
        return f"{self._path}, line {line}: {dotted}" if line else f"{self._path}: {dotted}"

    def _refuse(self, name: str, section: str, problem: str) -> None:
        raise ConfigError(f"{self._where(section, name)}: {problem}")

    def _refuse_unknown_variables(self, kind: type[Any], sections: Mapping[str, type[Any]]) -> None:
        """A misspelt override must not be ignored; variables outside our sections (SEALGATE_CONFIG) are not ours."""
        known = {_variable("", each.name) for each in fields(kind) if each.name not in sections}
        for name, section in sections.items():
            known |= {_variable(name, each.name) for each in fields(section)}
        prefixes = tuple(f"{PREFIX}{name.upper()}_" for name in (*sections, *table_types(kind)))
        for variable in self._environment:
            if variable.startswith(prefixes) and variable not in known:
                raise ConfigError(f"environment variable {variable}: there is no such setting")


def section_types(kind: type[Any]) -> dict[str, type[Any]]:
    """The fields of `kind` that are sections, with their dataclasses."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind) if is_dataclass(hints[each.name])}


def table_types(kind: type[Any]) -> dict[str, type[Any]]:
    """The fields of `kind` that are tables of which there may be any number, with their dataclasses."""
    found = {name: _table_kind(hint) for name, hint in get_type_hints(kind).items()}
    return {name: table_kind for name, table_kind in found.items() if table_kind is not None}


def _table_kind(hint: Any) -> type[Any] | None:
    of = get_args(hint)
    return of[0] if get_origin(hint) is tuple and is_dataclass(of[0]) and isinstance(of[0], type) else None


def _variable(section: str, name: str) -> str:
    return PREFIX + (f"{section}_{name}" if section else name).upper()


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _from_text(text: str, hint: Any) -> Any:
    """An environment variable's text as the TOML value it stands for; text that does not fit is left to `_checked`."""
    if hint is bool:
        lowered = text.strip().lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else text
    if hint in (int, float):
        try:
            return int(text)
        except ValueError:
            return _float_or_text(text) if hint is float else text
    if hint == tuple[str, ...]:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _float_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _checked(value: Any, hint: Any, rule: _Rule) -> Any:
    """`value` as its declared type and within its limits, or ValueError with what was expected and what came."""
    if hint is bool:
        _expect(isinstance(value, bool), "true or false", value)
    elif hint is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), "a whole number", value)
    elif hint is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), "a number", value)
        value = float(value)
    elif hint is str:
        _expect(isinstance(value, str), "a string", value)
    elif hint == tuple[str, ...]:
        _expect(isinstance(value, list) and all(isinstance(item, str) for item in value), "a list of strings", value)
        value = tuple(value)
    else:
        _expect(isinstance(value, str) and value != "" and "\0" not in value, "a path", value)
        value = Path(value)
    return _limited(value, rule)


def _limited(value: Any, rule: _Rule) -> Any:
    # `not (a <= b)` refuses NaN too.
    if rule.minimum is not None and not value >= rule.minimum:
        raise ValueError(f"must be at least {rule.minimum}, not {value}")
    if rule.maximum is not None and not value <= rule.maximum:
        raise ValueError(f"must be at most {rule.maximum}, not {value}")
    if rule.choices and value not in rule.choices:
        raise ValueError(f"must be one of {', '.join(rule.choices)}, not {value!r}")
    if rule.pattern is not None and not re.fullmatch(rule.pattern, value):
        raise ValueError(f"must match {rule.pattern}, not {value!r}")
    if rule.address:
        parse_address(value)
    if rule.check is not None:
        rule.check(value)
    return value


def _expect(right: bool, expected: str, value: Any) -> None:
    if not right:
        raise ValueError(f"must be {expected}, not {value!r}")


def parse_address(address: str) -> tuple[str, int]:
    """("127.0.0.1", 9000) of "127.0.0.1:9000", ("::1", 9000) of "[::1]:9000"; ValueError for anything else."""
    host, _, port = address.rpartition(":")
    if not _HOST_PORT.fullmatch(address) or int(port) > 65_535:
        raise ValueError(f"must be host:port, not {address!r}")
    return host.strip("[]"), int(port)


def format_address(host: str, port: int) -> str:
    """The inverse of `parse_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def next_port(address: str) -> str:
    """The address with the port after it, as the admin listener takes by default; port 0 stays 0: a free one."""
    host, port = parse_address(address)
    return format_address(host, port + 1 if 0 < port < 65_535 else 0)


def find_line(text: str, section: str, name: str) -> int | None:
    """The line (from 1) that sets `name` in `section` ("" is the top level), or opens its table; best effort.

    The tables of a list are counted from 1: `account[2].user[1]`.
    """
    dotted = f"{section}.{name}" if section else name
    current = ""
    tables: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]+", line)
        if heading:
            current = _counted(re.sub(r"[\"'\s]", "", heading[2]), tables, is_list=heading[1] == "[[")
            if current in {dotted, f"{dotted}[1]"}:
                return number
            continue
        key = re.match(r"\s*([A-Za-z0-9_\"'.\- ]+?)\s*=", line)
        if key:
            spelt = re.sub(r"[\"'\s]", "", key.group(1))
            full = f"{current}.{spelt}" if current else spelt
            if full == dotted or full.startswith(dotted + "."):
                return number
            if spelt == section and not current and re.search(rf"\b{re.escape(name)}\b", line):
                return number  # an inline table: kms = { root = ... }
    return None


def toml_value(value: object) -> str:
    """A setting's value in TOML; strings as basic strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return _quoted(str(value))
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _counted(heading: str, tables: dict[str, int], *, is_list: bool) -> str:
    """The heading with the number of each table of a list that it lies in; `tables` are those that came before."""
    path = ""
    names = heading.split(".")
    for place, name in enumerate(names, 1):
        path = f"{path}.{name}" if path else name
        if is_list and place == len(names):
            tables[path] = tables.get(path, 0) + 1
        if path in tables:
            path = f"{path}[{tables[path]}]"
    return path


def format_example(kind: type[Any]) -> str:
    """A commented document of all settings with their defaults; a setting without default is commented out."""
    sections, tables = section_types(kind), table_types(kind)
    lines = [
        "# Every setting with its default and unit. Each can also be given as an environment variable,",
        "# SEALGATE_<SECTION>_<NAME> (SEALGATE_LISTEN_ADDRESS, SEALGATE_REGION); lists with commas between.",
        "",
    ]
    lines += _example_of(kind, skip={*sections, *tables})
    for name, section in sections.items():
        lines += [f"# {_summary(section)}", f"[{name}]", *_example_of(section, skip=set())]
    for name, table in tables.items():
        lines += _example_of_table(name, table)
    return "\n".join(lines).rstrip("\n") + "\n"


def _summary(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _example_of_table(name: str, kind: type[Any]) -> list[str]:
    """Commented out as a whole: there may be none."""
    inner = table_types(kind)
    lines = [f"# {_summary(kind)}", f"# [[{name}]]"]
    lines += [line if line.startswith("#") or not line else f"# {line}" for line in _example_of(kind, skip=set(inner))]
    for inner_name, inner_kind in inner.items():
        lines += _example_of_table(f"{name}.{inner_name}", inner_kind)
    return lines


def _example_of(kind: type[Any], skip: set[str]) -> list[str]:
    lines: list[str] = []
    for each in fields(kind):
        if each.name in skip:
            continue
        rule: _Rule = each.metadata["rule"]
        lines.append(f"# {rule.help}")
        if each.default is None:
            lines.append(f'# {each.name} = ""')
        else:
            lines.append(f"{each.name} = {toml_value(each.default)}")
    lines.append("")
    return lines
