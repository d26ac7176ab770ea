"""Renders the ``afield.toml`` that `afield init` writes, and adds a machine to one that exists. Text in, text out.

An existing file is only ever appended to, so that a person's comments and order stay. What must not go in: file access.
"""

from __future__ import annotations

import re

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
