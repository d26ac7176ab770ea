"""A small blocking client of the files worker, for tests: spawn, ask, send data, wait for events.

Rules: every wait is bounded; the worker ends with the client (``close`` or the end of the ``with`` block); nothing of
the sync engine in here. The worker runs under any Python that is named, straight from the source folder.
"""

from __future__ import annotations

import hashlib
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from afield.errors import AfieldError, from_value
from afield.files.columns import decode_results
from afield.tree.entries import Entry, decode_entries
from afield.wire.records import RecordReader, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

SOURCE = str(Path(__file__).resolve().parents[2])
PATIENCE = 20.0
"""Seconds after which a missing answer is a failure; the machine that runs the tests may be busy."""
BOOT = "import sys; sys.path.insert(0, %r); from afield.files.worker import main; main(0, 1)"
PIECE = 1 << 18


class Answer:
    """What came for one request: its parts and, once it is over, result or error."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.over = False
        self.result: Any = None
        self.error: AfieldError | None = None


class FilesWorker:
    """A worker process; ``python`` is the interpreter it runs under, ``env`` replaces the environment."""

    def __init__(self, python: str = sys.executable, *, env: dict[str, str] | None = None, boot: str = BOOT) -> None:
        self.process = subprocess.Popen(
            [python, "-I", "-S", "-c", boot % SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in = self.process.stdin.fileno()
        self._out = self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._reader = RecordReader()
        self._answers: dict[int, Answer] = {}
        self._next = 0
        self.events: list[tuple[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> int:
        """End the worker by closing its pipe and give its exit status; kill it when it does not end."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    # one request

    def send(self, verb: str, **args: Any) -> int:
        """Send a request without waiting; give its id."""
        self._next += 1
        self._answers[self._next] = Answer()
        self.write(encode_record([self._next, verb, args]))
        return self._next

    def send_data(self, number: int, pieces: Iterable[bytes]) -> None:
        """Send follow-up data and its end."""
        for piece in pieces:
            self.send_piece(number, piece)
        self.write(encode_record([number, "end", {}]))

    def send_piece(self, number: int, piece: bytes) -> None:
        """Send one piece of follow-up data."""
        self.write(encode_record([number, "data", piece]))

    def cancel(self, number: int) -> None:
        """Cancel a request."""
        self.write(encode_record([number, "cancel", {}]))

    def wait(self, number: int, patience: float = PATIENCE) -> Answer:
        """Wait until a request is over; raise its error. TimeoutError when it does not come."""
        answer = self._answers[number]
        end = time.monotonic() + patience
        while not answer.over:
            self._receive(end)
        del self._answers[number]
        if answer.error is not None:
            raise answer.error
        return answer

    def wait_part(self, number: int) -> Any:
        """Wait for the first part of a request and give it; it stays among the parts."""
        end = time.monotonic() + PATIENCE
        while not self._answers[number].parts:
            self._receive(end)
        return self._answers[number].parts[0]

    def request(self, verb: str, **args: Any) -> Any:
        """Ask and give the result."""
        return self.wait(self.send(verb, **args)).result

    def parts(self, verb: str, **args: Any) -> list[Any]:
        """Ask and give the parts."""
        return self.wait(self.send(verb, **args)).parts

    def wait_event(self, name: str, patience: float = PATIENCE) -> Any:
        """Wait for the next event of that name and give its value; earlier ones of other names are kept."""
        end = time.monotonic() + patience
        while True:
            for place, (found, value) in enumerate(self.events):
                if found == name:
                    del self.events[place]
                    return value
            self._receive(end)

    # what tests do all the time

    def open(self, root: bytes, **args: Any) -> Any:
        """Open a root, made when missing."""
        return self.request("open", root=root, create=True, **args)

    def tree(self, path: bytes = b"") -> dict[bytes, Entry]:
        """Scan and give path → Entry."""
        return entries(self.parts("scan", path=path))

    def apply(
        self, ops: Sequence[dict[str, Any]], contents: Iterable[bytes] = (), *, columns: bool = False
    ) -> list[Any]:
        """Apply ops with the contents of its puts, in order; give [status, value] for each op."""
        if columns:
            from afield.files.columns import encode_ops

            number = self.send("apply", ops=encode_ops(ops))
        else:
            number = self.send("apply", ops=list(ops))
        if any(op["op"] == "put" for op in ops):
            self.send_data(number, pack(contents))
        return results(self.wait(number).parts, len(ops))

    def read(self, items: Any) -> bytes:
        """Give the bundle of items."""
        return b"".join(self.parts("read", items=items))

    # the pipe

    def write(self, data: bytes) -> None:
        """Write bytes as they are, taking in answers meanwhile: neither side may wait for the other."""
        view = memoryview(data)
        end = time.monotonic() + PATIENCE
        while view:
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                readable, _, _ = select.select([self._out], [self._in], [], max(0.0, end - time.monotonic()))
                if readable:
                    self._receive(end)
                elif time.monotonic() > end:
                    raise TimeoutError("the worker does not read") from None

    def _receive(self, end: float) -> None:
        left = end - time.monotonic()
        readable, _, _ = select.select([self._out], [], [], max(0.0, left))
        if not readable:
            raise TimeoutError(f"no answer from the worker; events so far: {self.events!r:.500}")
        data = os.read(self._out, PIECE)
        if not data:
            raise EOFError("the worker ended")
        for number, kind, value in self._reader.feed(data):
            self._take(number, kind, value)

    def _take(self, number: int, kind: str, value: Any) -> None:
        answer = self._answers.get(number)
        if number == 0 or answer is None:
            self.events.append((kind, value))
        elif kind == "part":
            answer.parts.append(value)
        else:
            answer.over = True
            if kind == "error":
                answer.error = from_value(value)
            else:
                answer.result = value


def entries(parts: Iterable[bytes]) -> dict[bytes, Entry]:
    """Give path → Entry for parts of columns."""
    return {path: entry for part in parts for path, entry in decode_entries(part)}


def results(parts: Iterable[Any], count: int) -> list[Any]:
    """Give [status, value] per op, in order; every op must have exactly one."""
    found = sorted((item for part in parts for item in decode_results(part)), key=lambda item: item[0])
    assert [item[0] for item in found] == list(range(count)), f"expected one result per op, got {found!r:.300}"
    return [item[1:] for item in found]


def pack(contents: Iterable[bytes], *, bad: Sequence[int] = ()) -> Iterable[bytes]:
    """Make the pieces of a bundle; those whose index is in ``bad`` are marked as changed while read."""
    whole = bytearray()
    for place, content in enumerate(contents):
        whole += struct.pack("<Q", len(content)) + content + bytes([place in bad]) + hashlib.sha256(content).digest()
        while len(whole) >= PIECE:
            yield bytes(whole[:PIECE])
            del whole[:PIECE]
    if whole:
        yield bytes(whole)


def put(
    path: bytes, content: bytes, was: Entry | None = None, *, executable: bool = False, mtime_ns: int = 10**18
) -> dict[str, Any]:
    """Make a put op for ``content`` in place of ``was``."""
    return {
        "op": "put",
        "path": path,
        "size": len(content),
        "executable": executable,
        "mtime_ns": mtime_ns,
        "digest": hashlib.sha256(content).digest(),
        **before(was),
    }


def op(name: str, path: bytes, was: Entry | None = None, **more: Any) -> dict[str, Any]:
    """Make any other op."""
    return {"op": name, "path": path, **more, **before(was)}


def before(was: Entry | None) -> dict[str, Any]:
    """Give the fields that say what must stand there."""
    if was is None:
        return {"was": None, "was_kind": None}
    return {"was": list(was.stat), "was_kind": was.node.kind}
