"""``ssh://``: the system's ssh program, so ~/.ssh/config, ProxyJump, agents, certificates, Kerberos and one-time passwords work as the user set them up.

Rules: only what the stream needs is said on the command line, everything else stays the user's; no shell on our side;
the line for the far side is quoted for any login shell.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from afield.errors import AfieldError, ConfigError
from afield.transports import shellwords
from afield.transports.base import Dial, Place

# Each with its reason; what is not here is the user's.
_ALWAYS = (
    "-T",  # bytes, not a terminal
    "-e", "none",  # no escape character: the stream holds every byte
    "-oServerAliveInterval=5",  # a silent cut ends ssh after 15-20 s even when nobody here looks
    "-oServerAliveCountMax=3",
    "-oClearAllForwardings=yes",  # forwards of the user's config would collide with those of their other logins
    "-oRemoteCommand=none",  # ssh refuses a command beside one of the config
    "-oControlMaster=no",  # an open shared connection is used, but never made: it would live on when we end ssh
)  # fmt: skip
_FRESH = ("-oControlPath=none",)  # a shared connection that went silent would be silent for us again


class SshTransport:
    """Opens the stream through ssh.

    Options: ``python`` (name or path there), ``ssh`` (the ssh command with further arguments, split as a shell would; also
    ``AFIELD_SSH`` in the environment). ``batch`` says that nobody can be asked: ssh then fails instead of waiting for an answer.
    """

    scheme = "ssh"
    patience = 60.0  # several hops and a loaded login node take half a minute; ssh's own ConnectTimeout may be shorter
    ends_with_stream = True

    def __init__(self, place: Place, options: Mapping[str, str] | None = None, *, batch: bool = False) -> None:
        options = options or {}
        self.place = place
        self.batch = batch
        self._python = options.get("python")
        self.can_search = not self._python
        self._ssh = _split(options.get("ssh") or os.environ.get("AFIELD_SSH") or "ssh")
        if not place.host:
            raise ConfigError(f"the place {place} names no host", hint="write ssh://user@host")

    def arguments(self, *, fresh: bool = False) -> list[str]:
        """Give the ssh command up to and with the host, as any further login needs it."""
        argv = [*self._ssh, *_ALWAYS, *(_FRESH if fresh else ())]
        argv.append("-oBatchMode=yes" if self.batch else "-oBatchMode=no")
        if self.place.user:
            argv += ["-l", self.place.user]
        if self.place.port:
            argv += ["-p", str(self.place.port)]
        assert self.place.host is not None
        return [*argv, "--", self.place.host]

    def command(self, python: str | None, starter: str, *, fresh: bool = False) -> Dial:
        """See Transport.command. ``python`` ``"!"`` searches again without trusting a bare ``python3`` (it was too old)."""
        named = self._python or python
        if named == "!":
            line = shellwords.search_python(starter, trust_python3=False)
        elif named:
            line = shellwords.run_python(named, starter)
        else:
            line = shellwords.search_python(starter)
        return Dial([*self.arguments(fresh=fresh), line])

    def explain(self, status: int | None, stderr: str, noise: str) -> AfieldError:
        """See Transport.explain."""
        from afield.transports.explain import explain_ssh  # its table of patterns takes 4 ms, and most dials succeed

        return explain_ssh(self.describe(), status, stderr, noise)

    def describe(self) -> str:
        """See Transport.describe."""
        return str(Place("ssh", self.place.user, self.place.host, self.place.port))


def _split(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(
            f"the ssh command {text!r} cannot be split: {error}",
            hint="quote it as for a shell, such as: ssh -F my.config",
        ) from None
    if not words:
        raise ConfigError("the ssh command is empty", hint="leave it out to use ssh, or write: ssh -F my.config")
    return words
