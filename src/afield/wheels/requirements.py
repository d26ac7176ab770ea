"""Reads what shall be installed: words, requirements files, pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from afield.errors import ConfigError, NoSuchFile, UsageError
from afield.wheels.tags import requirement_name


def arguments(packages: list[str], files: list[str], extras: list[str], groups: list[str]) -> list[str]:
    """Give pip's arguments. A pyproject.toml gives its dependencies, with the named extras and groups.

    Raises NoSuchFile, ConfigError, UsageError.
    """
    found = list(packages)
    projects = [file for file in files if os.path.basename(file) == "pyproject.toml"]
    for file in files:
        if not os.path.isfile(file):
            raise NoSuchFile(f"{file} does not exist")
        found += _of_project(file, extras, groups) if file in projects else ["-r", file]
    if (extras or groups) and not projects:
        raise UsageError("--extra and --group choose from a pyproject.toml", hint="add -r pyproject.toml")
    if not found:
        raise UsageError("nothing to install", hint="for example: afield env install numpy   or -r requirements.txt")
    return found


def _of_project(file: str, extras: list[str], groups: list[str]) -> list[str]:
    try:
        with open(file, "rb") as handle:
            data = tomllib.load(handle)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}") from None
    project = data.get("project", {})
    if "dependencies" in project.get("dynamic", ()):
        raise ConfigError(
            f"{file}: the dependencies are dynamic: only its build tool knows them",
            hint="export them to a requirements file and name that one with -r",
        )
    found = [str(text) for text in project.get("dependencies", ())]
    optional = project.get("optional-dependencies", {})
    for name in extras:
        found += _chosen(optional, name, file, "extra")
    for name in groups:
        found += _group(data.get("dependency-groups", {}), name, file, ())
    return found


def _chosen(table: dict[str, Any], name: str, file: str, what: str) -> list[Any]:
    if name not in table:
        raise ConfigError(f"{file} has no {what} {name!r}", hint=f"known: {', '.join(sorted(table)) or 'none'}")
    return list(table[name])


def _group(table: dict[str, Any], name: str, file: str, above: tuple[str, ...]) -> list[str]:
    """Give a group with those it includes (PEP 735)."""
    if name in above:
        raise ConfigError(f"{file}: the group {name!r} includes itself")
    found: list[str] = []
    for item in _chosen(table, name, file, "group"):
        if isinstance(item, dict):
            found += _group(table, str(item.get("include-group")), file, (*above, name))
        else:
            found.append(str(item))
    return found


def asked_names(words: list[str], *, only_pinned: bool) -> set[str]:
    """Give the names that pip's arguments and the files among them ask for; ``only_pinned``: those with a version."""
    names, texts, left = set(), [], list(words)
    while left:
        word = left.pop(0)
        if word == "-r" and left:
            with open(left.pop(0), encoding="utf-8", errors="replace") as file:
                texts += [line.split(" #")[0].strip() for line in file]
        else:
            texts.append(word)
    for text in texts:
        name = requirement_name(text)
        if name and (not only_pinned or any(mark in text.partition(";")[0] for mark in "<>=!~@")):
            names.add(name)
    return names
