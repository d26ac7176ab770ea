"""What a target answers to ops, checked: the results of one part of an ``apply``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import AfieldError, FileChanged, ProtocolError, from_value
from afield.files.columns import decode_results
from afield.tree.entries import Stat, stat_from_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Op = dict[str, Any]


class Result(NamedTuple):
    """What became of one op. ``outcome`` is ok, refused, error or lost; ``digest`` is that of the bytes that went over."""

    op: Op
    outcome: str
    stat: Stat | None = None
    error: AfieldError | None = None
    digest: bytes | None = None


def read_answer(part: Any, ops: Sequence[Op]) -> Iterator[tuple[int, Result]]:
    """Give (index of the op, result) for each answer, digests not yet filled in. Raises ProtocolError."""
    # Columns hold nothing but checked integers; a list may hold anything.
    stat_of = Stat._make if isinstance(part, dict) else stat_from_value
    for index, outcome, detail in decode_results(part):
        if not 0 <= index < len(ops):
            raise ProtocolError(f"expected one answer for each of {len(ops)} ops, got one for {index}")
        op = ops[index]
        if outcome == "ok":
            yield index, Result(op, "ok", None if detail is None else stat_of(detail))
        elif outcome == "refused":
            yield index, Result(op, "refused", error=FileChanged(str(detail)))
        else:
            yield index, Result(op, "error", error=error_of(detail))


def unread_of(done: Any) -> dict[bytes, AfieldError]:
    """Give why files could not be read, by path, from what a ``read`` ended with; one that changed meanwhile is not among them."""
    rows = done.get("failed") if isinstance(done, dict) else None
    found = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list) and len(row) == 3 and isinstance(row[0], bytes) and row[1] != FileChanged.code:
            found[row[0]] = error_of({"code": row[1], "text": row[2]})
    return found


def with_cause(result: Result, unread: dict[bytes, AfieldError]) -> Result:
    """Give a result with the source's word: the target knows only that it did not get the file."""
    missed = isinstance(result.error, FileChanged)
    error = unread.get(result.op["path"]) if missed else None
    return result if error is None else result._replace(outcome="error", error=error)


def error_of(detail: Any) -> AfieldError:
    """Give the error that an answer names, whatever it is."""
    try:
        return from_value(detail)
    except ProtocolError:
        return AfieldError(str(detail))
