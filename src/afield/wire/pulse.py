"""Is the peer there: pings, their answers, and how long it was silent  [P].

Rules: pure; a ping goes out after ``heartbeat`` seconds of silence, and after ``silence`` seconds whoever owns the transport
should drop it. No frames are made here.
"""

from afield.errors import ProtocolError
from afield.wire.frames import pack_u64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from afield.wire.limits import Limits


class Pulse:
    """Times in seconds of the link's clock."""

    def __init__(self, limits: "Limits", now: "float") -> "None":
        self._limits = limits
        self._asked = now
        self._count = 0
        self._waiting: "Dict[bytes, float]" = {}
        self.heard = now

    def begin(self, now: "float") -> "None":
        """Start on a fresh transport."""
        self.heard = self._asked = now

    def next_deadline(self, now: "float") -> "float":
        """Give when to ask, or when the silence is too long, whichever comes first and is not past."""
        ask = self.next_ping()
        silent = self.heard + self._limits.silence
        return silent if now < silent < ask else ask

    def next_ping(self) -> "float":
        """Give when the peer should be asked."""
        return max(self.heard, self._asked) + self._limits.heartbeat

    def is_silent(self, now: "float") -> "bool":
        """Say whether the silence is too long."""
        return now >= self.heard + self._limits.silence

    def ask(self, now: "float") -> "Optional[bytes]":
        """Give the 8 bytes of a ping, or None when too many are unanswered."""
        self._asked = now
        if len(self._waiting) >= self._limits.pings:
            return None
        self._count += 1
        name = pack_u64(self._count)
        self._waiting[name] = now
        return name

    def answered(self, name: "bytes", now: "float") -> "float":
        """Give the seconds between a ping and its answer; raises ProtocolError for one that was not asked."""
        asked = self._waiting.pop(name, None)
        if asked is None:
            raise ProtocolError("expected the answer to a ping, got %r" % (name,))
        return now - asked
