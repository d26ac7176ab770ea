"""What a transport is, and how the text of a place is read.

A transport says which command opens a byte stream to a Python at the place, and explains a failure; it starts nothing
itself and knows nothing of frames. No I/O here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote, urlencode

from afield.errors import AfieldError, ConfigError

# A name as DNS, ~/.ssh/config and IPv6 literals write it. A leading "-" would be an option of ssh, so it is refused.
_NAME = re.compile(r"[A-Za-z0-9_.:%][A-Za-z0-9_.:%+@\\-]*\Z")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)\Z", re.DOTALL)
_EXAMPLE = "write ssh://user@host[:port][/folder], a Host of ~/.ssh/config, or local://"


class Place(NamedTuple):
    """Somewhere that Python can run, taken apart; ``str(place)`` gives the text again."""

    scheme: str
    user: str | None = None
    host: str | None = None
    port: int | None = None
    path: str = ""
    query: Mapping[str, str] = MappingProxyType({})

    def __str__(self) -> str:
        host = self.host or ""
        host = f"[{host}]" if ":" in host else host
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        path = "/" + self.path if self.path.startswith("~") else self.path
        query = "?" + urlencode(self.query) if self.query else ""
        return f"{self.scheme}://{user}{host}{port}{path}{query}"


class Dial(NamedTuple):
    """The command that opens the stream: its stdin and stdout are the stream, its stderr is for people.

    ``env`` is the whole environment, None for ours; no secret may be in ``argv``.
    """

    argv: list[str]
    env: dict[str, str] | None = None
    cwd: str | None = None


class Transport(Protocol):
    """How to reach one place."""

    scheme: str
    #: Time (s) that a dial may take before it is given up, questions to the user not counted.
    patience: float
    #: Nobody can be asked: fail instead of waiting for an answer. Set by who dials.
    batch: bool
    #: Whether the command is nothing but a carrier that may be killed; false when it can become the agent itself.
    ends_with_stream: bool
    #: Whether ``command("!", …)`` searches the place for a Python without trusting the first ``python3``.
    can_search: bool

    def command(self, python: str | None, starter: str, *, fresh: bool = False) -> Dial:
        """Say what opens the stream: ``python -I -S -c starter`` at the place.

        ``python`` None means: the first usable one there. ``fresh`` asks for a connection of its own, not one that is shared with
        other programs (the last one went silent). Raises ConfigError when python or an option cannot be used.
        """
        ...

    def explain(self, status: int | None, stderr: str, noise: str) -> AfieldError:
        """Turn a failed dial into an error with a hint; ``status`` None: killed or still running, negative: a signal."""
        ...

    def describe(self) -> str:
        """Name the place for people, in a few words."""
        ...


def parse_place(text: str) -> Place:
    """Read ``ssh://[user@]host[:port][/folder]``, ``[user@]host`` (ssh), ``local://[/folder]`` or another scheme's like form.

    Raises ConfigError for anything else. ``/~/x`` as folder means ``~/x``: below the home folder there.
    """
    if not text or text != text.strip() or not text.isprintable():
        raise ConfigError(f"expected a place, got {text!r}", hint=_EXAMPLE)
    match = _SCHEME.match(text)
    scheme, rest = match.groups() if match else ("ssh", text)
    if not match and (":" in rest or "/" in rest):
        raise ConfigError(f"expected a place, got {text!r}", hint=_EXAMPLE)
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user, host, port = _authority(authority, text)
    path = unquote(slash + path)
    if path.startswith("/~"):
        path = path[1:]
    if scheme == "ssh" and not host:
        raise ConfigError(f"the place {text!r} names no host", hint=_EXAMPLE)
    if scheme == "local" and (user or host or port or path.startswith("~")):
        raise ConfigError(
            f"expected local:// or local:///absolute/folder, got {text!r}",
            hint="local:// is this machine; it takes no host",
        )
    pairs = parse_qsl(query, keep_blank_values=True)
    return Place(scheme, user, host, port, "" if path == "/" else path, dict(pairs))


def _authority(text: str, whole: str) -> tuple[str | None, str | None, int | None]:
    user, at, rest = text.rpartition("@")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ConfigError(
                f"the address in brackets is not closed in {whole!r}", hint="an IPv6 place is ssh://[2001:db8::1]:22"
            )
        port = port[1:]
    else:
        host, _, port = rest.partition(":")
    for what, name in (("user", user if at else ""), ("host", host)):
        if (name or (at and what == "user")) and not _NAME.match(name):
            raise ConfigError(f"{name!r} cannot be the name of a {what} (in {whole!r})", hint=_EXAMPLE)
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"expected a port from 1 to 65535, got {port!r} (in {whole!r})", hint=_EXAMPLE)
    return user or None, host or None, int(port) if port else None
