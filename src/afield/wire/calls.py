"""One question and its answer on a stream of its own  [P].

The asker opens ``{"do": "call", "name", "args"}``; the answer is one MSG and CLOSE null, a failure is CLOSE with an error, and
whoever closes the stream cancels. Rules: the life of a call is a table. No names of calls here (see ``messages``).
"""

from afield.errors import AfieldError, Cancelled, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

WAITING, ANSWERED, DONE, FAILED, CANCELLED = "waiting", "answered", "done", "failed", "cancelled"
# state -> what comes -> state; what is not named here is a fault of the peer
LIFE = {
    WAITING: {"message": ANSWERED, "error": FAILED, "cancel": CANCELLED},
    ANSWERED: {"closed": DONE, "error": FAILED, "cancel": CANCELLED},
    DONE: {"cancel": DONE},
    FAILED: {"cancel": FAILED},
    CANCELLED: {"message": CANCELLED, "closed": CANCELLED, "error": CANCELLED, "cancel": CANCELLED},
}


def call_header(name: "str", args: "Optional[Dict[str, Any]]" = None) -> "Dict[str, Any]":
    """Give the header that opens the stream of a call."""
    return {"do": "call", "name": name, "args": args or {}}


class Call:
    """The asker's side: told of what came on the stream, it knows when and how the call ended."""

    __slots__ = ("_error", "_value", "name", "state")

    def __init__(self, name: "str") -> "None":
        self.name = name
        self.state = WAITING
        self._value: "Any" = None
        self._error: "Optional[AfieldError]" = None

    def _step(self, happening: "str") -> "None":
        after = LIFE[self.state].get(happening)
        if after is None:
            raise ProtocolError("expected no %r for the call %s, which is %r" % (happening, self.name, self.state))
        self.state = after

    @property
    def over(self) -> "bool":
        """The answer, an error or a cancel ended it."""
        return self.state in (DONE, FAILED, CANCELLED)

    def message(self, value: "Any") -> "None":
        """Take the answer; raises ProtocolError for a second one."""
        self._step("message")
        self._value = value

    def closed(self, error: "Optional[AfieldError]") -> "None":
        """Take the end of the stream; raises ProtocolError when it comes without an answer."""
        self._step("closed" if error is None else "error")
        self._error = error

    def cancel(self) -> "None":
        """Give up; the caller closes the stream."""
        self._step("cancel")

    def result(self) -> "Any":
        """Give the answer; raises the error of the other end, or Cancelled."""
        if self.state == CANCELLED:
            raise Cancelled("the call %s was given up" % (self.name,))
        if self._error is not None:
            raise self._error
        if self.state != DONE:
            raise ProtocolError("expected an answer to the call %s, got none yet" % (self.name,))
        return self._value
