"""Renders the ``afield.toml`` that `afield init` writes, and adds a machine to one that exists. Text in, text out.

An existing file is only ever appended to, or changed in one line, so that a person's comments and order stay. What must not go
in: file access.
"""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any

from afield.errors import ConfigError

_HEAD = """\
# afield: where this project's Python runs. Every setting: `afield config`.
machine = {name}
"""
_MACHINE = """
[machines.{name}]
place = {place}
folder = {folder}
"""


def quote(text: str) -> str:
    """Give text as a TOML basic string (TOML 1.0, "String")."""
    out = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match.group()):04x}", out) + '"'


def render_machine(
    name: str,
    place: str,
    folder: str,
    *,
    python: str | None = None,
    agent_python: str | None = None,
    ssh: tuple[str, ...] = (),
) -> str:
    """Give the ``[machines.NAME]`` table."""
    table_name = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quote(name)
    text = _MACHINE.format(name=table_name, place=quote(place), folder=quote(folder))
    if python:
        text += f"python = {quote(python)}\n"
    if agent_python:
        text += f"agent-python = {quote(agent_python)}\n"
    if ssh:
        text += f"ssh = [{', '.join(quote(word) for word in ssh)}]\n"
    return text


def render_new(name: str, machine_text: str) -> str:
    """Give a whole new file with one machine, which is the default."""
    return _HEAD.format(name=quote(name)) + machine_text


def append_machine(existing: str, machine_text: str) -> str:
    """Give the existing file with one more machine at its end."""
    return existing.rstrip("\n") + "\n" + machine_text


def set_in_machine(existing: str, name: str, key: str, value: str | None) -> str:
    """Give the existing file with one text of a ``[machines.NAME]`` table set, or taken out (None).

    The result is read again and must differ in nothing else. Raises ConfigError when the file is written in a way that one
    line cannot change (inline tables, dotted keys).
    """
    lines = existing.rstrip("\n").split("\n")  # a text may hold what splitlines takes for the end of a line
    begin = next((at for at, line in enumerate(lines) if _names_machine(line, name)), None)
    if begin is not None:
        _change(lines, begin, key, value)
    text = "\n".join(lines) + "\n"
    if not _differs_only(existing, text, name, key, value):
        said = f"{key} = {quote(value)}" if value is not None else f"no {key}"
        raise ConfigError(
            f"expected a table [machines.{name}] in which one line can be changed, got another form",
            hint=f"write it by hand: {said} for the machine {name}",
        )
    return text


def _names_machine(line: str, name: str) -> bool:
    match = re.match(r"\s*\[\s*machines\s*\.\s*(.+?)\s*\]\s*(#.*)?$", line)
    return match is not None and match.group(1) in (name, quote(name), f"'{name}'")


def _change(lines: list[str], begin: int, key: str, value: str | None) -> None:
    end = next((at for at in range(begin + 1, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))
    old = next((at for at in range(begin + 1, end) if re.match(rf"\s*{re.escape(key)}\s*=", lines[at])), None)
    if old is not None:
        lines[old : old + 1] = [] if value is None else [f"{key} = {quote(value)}"]
    elif value is not None:
        while not lines[end - 1].strip():
            end -= 1
        lines.insert(end, f"{key} = {quote(value)}")


def _differs_only(existing: str, text: str, name: str, key: str, value: str | None) -> bool:
    expected: dict[str, Any] = copy.deepcopy(tomllib.loads(existing))
    table = expected.get("machines", {}).get(name, {})
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False
