"""The states of a connection as values, and which may follow which as a table. Pure: no clock, no I/O, no asyncio."""

from __future__ import annotations

from dataclasses import dataclass

from afield import errors
from afield.errors import AfieldError, InternalError


@dataclass(frozen=True)
class Idle:
    """Nothing is open and nothing is wanted."""


@dataclass(frozen=True)
class Dialing:
    """A transport is being opened; ``attempt`` counts from 1 since the last success."""

    since: float
    attempt: int = 1


@dataclass(frozen=True)
class Connected:
    """The link carries frames; ``resumed`` says that the session of before goes on."""

    since: float
    resumed: bool = False


@dataclass(frozen=True)
class Waiting:
    """The link was lost for ``reason``; the next dial is at ``next_try`` (s, the loop's clock)."""

    reason: AfieldError
    next_try: float
    attempt: int = 1


@dataclass(frozen=True)
class Failed:
    """No further dial is made by itself: somebody has to mend ``error`` first."""

    error: AfieldError


State = Idle | Dialing | Connected | Waiting | Failed

#: state -> event -> the state that follows. What is not here must not happen.
TABLE: dict[type, dict[str, type]] = {
    Idle: {"dial": Dialing, "close": Idle},
    Dialing: {"up": Connected, "lost": Waiting, "fail": Failed, "close": Idle},
    Connected: {"lost": Waiting, "fail": Failed, "close": Idle},
    Waiting: {"dial": Dialing, "fail": Failed, "close": Idle},
    Failed: {"dial": Dialing, "close": Idle},
}

#: Dialing again cannot mend these: a person must act (unlock a key, compare a fingerprint, correct a setting).
PERMANENT = (
    errors.HostKeyChanged,
    errors.HostKeyUnknown,
    errors.PermissionDenied,
    errors.BadTransport,
    errors.ConfigError,
    errors.Cancelled,
    errors.OurFault,
)


def check(old: State, event: str, new: State) -> State:
    """Give ``new`` back when the table allows it; raises InternalError when it does not."""
    expected = TABLE[type(old)].get(event)
    if expected is not type(new):
        raise InternalError(
            f"expected {expected and expected.__name__} after {event!r} in {type(old).__name__}, got {type(new).__name__}"
        )
    return new


def event_after_failure(error: AfieldError, *, first: bool) -> str:
    """Decide what a failed dial leads to: ``fail`` (the first dial, or a lasting cause) or ``lost`` (try again later)."""
    return "fail" if first or isinstance(error, PERMANENT) else "lost"
