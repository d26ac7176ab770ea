"""Finds transports, environments and editors by name: the built-in ones and those of installed packages, the same road for both.

Rules: a table of built-ins as text and the entry-point groups ``afield.transports``, ``afield.environments`` and
``afield.editors``; a module is imported when its name is first asked for, never before. A package cannot take
a built-in name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from afield.errors import ConfigError
from afield.transports.base import Place, Transport, parse_place

#: group -> name -> "module:attribute"
BUILT_IN: dict[str, dict[str, str]] = {
    "afield.transports": {
        "local": "afield.transports.local:LocalTransport",
        "ssh": "afield.transports.ssh:SshTransport",
    },
    "afield.environments": {},
    "afield.editors": {},
}


def names(group: str) -> list[str]:
    """Name all that a group offers, sorted; raises KeyError for a group that is none of the three."""
    return sorted({*BUILT_IN[group], *(point.name for point in _installed(group))})


def load(group: str, name: str) -> Any:
    """Import what stands behind a name of a group.

    Raises ConfigError when nothing has that name, or when its package cannot be imported.
    """
    # First the built-ins: reading the metadata of all installed packages takes 10-30 ms.
    target = BUILT_IN[group].get(name)
    if target is None:
        target = next((point.value for point in _installed(group) if point.name == name), None)
    if target is None:
        kind = group.partition(".")[2].rstrip("s")
        raise ConfigError(
            f"expected one of the {kind}s {', '.join(names(group))}, got {name!r}",
            hint=f"is a package missing that brings the {kind} {name!r}?",
        )
    module, _, attribute = target.partition(":")
    try:
        from importlib import import_module

        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{name!r} of {group} cannot be loaded from {target}: {error}", hint="install its package again"
        ) from error


def transport_for(place: Place | str, options: Mapping[str, str] | None = None) -> Transport:
    """Make the transport of a place; ``options`` are the machine's settings, such as ``python`` and ``ssh``.

    Raises ConfigError for a place that cannot be read or a scheme that nobody knows.
    """
    where = parse_place(place) if isinstance(place, str) else place
    return cast("Transport", load("afield.transports", where.scheme)(where, options))


def _installed(group: str) -> list[Any]:
    from importlib.metadata import entry_points

    return list(entry_points(group=group))
