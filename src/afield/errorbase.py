"""What every error of afield is, and the two halves of the tree that ``errors`` draws  [P].

Everybody imports these from ``errors``; they stand here so that both files can be held in the head. No I/O here.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Type


class AfieldError(Exception):
    """Base of all; ``text`` for people, ``hint`` what to do next, ``details`` plain values for ``--json``."""

    code = "error"
    exit = 1

    def __init__(self, text: "str", *, hint: "Optional[str]" = None, **details: "Any") -> "None":
        Exception.__init__(self, text)
        self.text, self.hint, self.details = text, hint, details

    def __str__(self) -> "str":
        return self.text

    def to_value(self) -> "Dict[str, Any]":
        """Give the plain map that crosses the wire: code, text and, where there are any, hint and details."""
        value = {"code": self.code, "text": self.text}  # type: Dict[str, Any]
        if self.hint:
            value["hint"] = self.hint
        if self.details:
            value["details"] = dict(self.details)
        return value


class OurFault(AfieldError):
    """A bug of afield, or a peer that does not speak the protocol."""

    code = "our-fault"
    exit = 70


class ProtocolError(OurFault):
    """Bytes that the protocol does not allow."""

    code = "protocol"


class InternalError(OurFault):
    """A state that must not happen."""

    code = "internal"


class TheirFault(AfieldError):
    """Input, place or network: not a bug."""

    code = "their-fault"


def _tree(root: "Type[AfieldError]") -> "Dict[str, Type[AfieldError]]":
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


def from_value(value: "Any") -> "AfieldError":
    """Make the error that ``to_value`` described; an unknown code stays with a plain one. Raises ProtocolError."""
    if not isinstance(value, dict) or not isinstance(value.get("code"), str) or not isinstance(value.get("text"), str):
        raise ProtocolError("expected an error map with code and text, got %.200r" % (value,))
    hint, details = value.get("hint"), value.get("details")
    kind = _tree(AfieldError).get(value["code"], AfieldError)
    error = kind(value["text"], hint=hint if isinstance(hint, str) else None)
    if isinstance(details, dict):
        error.details = details
    if kind is AfieldError:
        error.code = value["code"]
    return error
