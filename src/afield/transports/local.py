"""``local://``: a Python of this machine in a folder of its own; the embedded default, and what the tests and the demo use.

The folder is the home of everything there: ``~`` and HOME of the agent and of its programs, and with it their caches and settings.
So a place on this machine is as far from the user's own files as another machine is, and goes without a trace.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping

from afield.errors import AfieldError, ConfigError
from afield.transports.base import Dial, Place

# Settings of our own interpreter would reach every program at the place; the folders would lead out of it.
_NOT_THERE = frozenset(
    (
        "PYTHONHOME",
        "PYTHONPATH",
        "__PYVENV_LAUNCHER__",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    )
)


class LocalTransport:
    """Opens the stream to a subprocess.

    ``place.path`` is the home folder there; empty: ``$XDG_DATA_HOME/afield/local``.
    Options: ``python`` (an absolute path; ours when not given).
    """

    scheme = "local"
    patience = 30.0  # a cold start of Python from a slow disk; there is no network to wait for
    can_search = False
    ends_with_stream = False
    batch = False

    def __init__(self, place: Place, options: Mapping[str, str] | None = None) -> None:
        self.place = place
        self.home = os.path.abspath(place.path) if place.path else _default_home()
        self._python = (options or {}).get("python")

    def command(self, python: str | None, starter: str, *, fresh: bool = False) -> Dial:  # noqa: ARG002 nothing is shared here
        """See Transport.command."""
        name = python or self._python or sys.executable
        if not name:
            raise ConfigError("this Python does not know its own path", hint="set python = to the absolute path of one")
        env = {key: value for key, value in os.environ.items() if key not in _NOT_THERE}
        env["AFIELD_HOME"] = env["HOME"] = self.home
        return Dial([os.path.expanduser(name), "-I", "-S", "-c", starter], env)

    def explain(self, status: int | None, stderr: str, noise: str) -> AfieldError:
        """See Transport.explain."""
        from afield.transports.explain import explain_start  # its table of patterns takes 4 ms, and most dials succeed

        return explain_start(self.describe(), status, stderr, noise)

    def describe(self) -> str:
        """See Transport.describe."""
        return "local://" + (self.place.path or "")

    def tidy(self) -> bool:
        """Remove the home folder there when nothing is left in it; False while the agent that ends still has its run folder."""
        if os.path.exists(os.path.join(self.home, "run")):
            return False
        names = (".cache", ".local/share", ".local")
        folders = [*(os.path.join(self.home, name) for name in names), self.home]
        if not self.place.path:
            folders.append(os.path.dirname(self.home))
        for folder in folders:
            with contextlib.suppress(OSError):  # not empty: something of the user's is in it
                os.rmdir(folder)
        return True


def _default_home() -> str:
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(data, "afield", "local")
