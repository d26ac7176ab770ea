"""The mirror service: a forked worker that tells what the sources of an environment are and gives them  [P].

Records as in the files service (``wire/records.py``), one request at a time: ``look``, ``contents``, ``file``. Rules: it only reads;
what was listed is asked for by its number, in the order of the listing; a file that went meanwhile is a gap and no error.
"""

import os
import struct

from afield.agent.filesvc import FilesService
from afield.envs import interpreter, sources
from afield.envs.roots import LISTED, roots_of
from afield.errors import AfieldError, InternalError, NoSuchFile, ProtocolError
from afield.files.squeeze import Squeezer
from afield.wire.records import RecordReader, encode_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

# Large enough that the cost of a record vanishes, as in files/bundle.py.
PIECE = 1 << 18
# Files of one listing part: with paths of 150 bytes still half of what a record holds.
ROWS = 2500
GAP = 0xFFFFFFFF


class Lister:
    """What one client asked for so far."""

    def __init__(self) -> "None":
        self.listed: "List[bytes]" = []

    def look(self, args: "Dict[str, Any]") -> "Iterator[Any]":
        """Yield the roots, then their units; returns nothing."""
        found = interpreter.folders_of(args["python"])
        roots = roots_of(found, args["own"])
        name = os.path.basename(found["stdlib"])
        yield {
            "version": found["version"],
            "name": name,
            "prefix": found["prefix"],
            "roots": [[root.far, root.real, root.role] for root in roots],
        }
        files = sources.Budget(sources.MOST_FILES)
        self.listed = []
        for number, root in enumerate(roots):
            if root.role in LISTED:
                known = args["known"].get(root.role + ":" + (name if root.role != "path" else root.far).hex(), [])
                for part in self._root(number, root, _table(known), args["full"], files):
                    yield part

    def _root(
        self, number: "int", root: "Any", known: "Dict[bytes, bytes]", full: "bool", files: "sources.Budget"
    ) -> "Iterator[Any]":
        budget = sources.Budget(sources.MOST_FILES if root.role != "path" else sources.MOST_LOOKED_AT)
        same: "List[bytes]" = []
        try:
            for name, unit in sources.units(root.far, root.role == "stdlib", known, full, budget):
                if unit is None:
                    same.append(name)
                    continue
                files.take(len(unit.paths))
                for part in self._unit(number, root, unit):
                    yield part
        except sources.TooLarge:
            yield {"root": number, "large": True}
        for start in range(0, len(same), ROWS):
            yield {"root": number, "same": same[start : start + ROWS]}

    def _unit(self, number: "int", root: "Any", unit: "Any") -> "Iterator[Any]":
        for start in range(0, max(len(unit.paths), 1), ROWS):
            stop = start + ROWS
            paths = unit.paths[start:stop]
            self.listed.extend([os.path.join(root.far, path) for path in paths])
            yield {
                "root": number,
                "unit": unit.name,
                "kind": unit.kind,
                "key": unit.key,
                "more": stop < len(unit.paths),
                "paths": b"\0".join(paths),
                "sizes": struct.pack("<%dI" % len(paths), *unit.sizes[start:stop]),
                "digests": b"".join(unit.digests[start:stop]),
            }

    def contents(self, args: "Dict[str, Any]") -> "Iterator[Any]":
        """Yield packed pieces of: u32 LE length (all ones: a gap) and bytes, for each number."""
        numbers = struct.unpack("<%dI" % (len(args["items"]) // 4), args["items"])
        if numbers and max(numbers) >= len(self.listed):
            raise ProtocolError("expected numbers of listed files, got %d" % max(numbers))
        return pieces((self.listed[number] for number in numbers), args["level"])

    def file(self, args: "Dict[str, Any]") -> "Iterator[Any]":
        """Yield one file by its path, packed as contents."""
        if sources.read_source(args["path"]) is None:
            text = os.fsdecode(args["path"]).encode("utf-8", "replace").decode("utf-8")
            raise NoSuchFile(
                "there is no readable file %s there, or it has more than %d MB" % (text, sources.LARGEST >> 20)
            )
        return pieces([args["path"]], args["level"])


def pieces(paths: "Any", level: "int") -> "Iterator[bytes]":
    """Read files one after another into packed pieces of 256 KiB."""
    squeezer = Squeezer(level)
    waiting: "List[bytes]" = []
    size = 0
    for path in paths:
        data = sources.read_source(path)
        waiting.append(struct.pack("<I", GAP if data is None else len(data)))
        if data:
            waiting.append(data)
            size += len(data)
        size += 4
        if size >= PIECE:
            whole = b"".join(waiting)
            stop = len(whole) - len(whole) % PIECE
            for start in range(0, stop, PIECE):
                yield squeezer.pack(whole[start : start + PIECE])
            waiting, size = [whole[stop:]], len(whole) - stop
    if size:
        yield squeezer.pack(b"".join(waiting))


def _table(known: "List[Any]") -> "Dict[bytes, bytes]":
    names, keys = known if known else ([], b"")
    return {name: keys[32 * place : 32 * place + 32] for place, name in enumerate(names)}


class MirrorService(FilesService):
    """A worker of its own for each client; none gives way to another."""

    def __init__(self, keeper: "Any", channel: "Any", header: "Dict[str, Any]") -> "None":
        del header
        FilesService.__init__(self, keeper, channel, {"root": b""})

    def program(self) -> "Any":
        """Give what the child runs."""
        return main

    def _others(self) -> "List[FilesService]":
        return []


def main(in_fd: "int", out_fd: "int") -> "None":
    """Serve until the input ends. Blocking: one client, one request at a time."""
    reader, lister = RecordReader(), Lister()
    while True:
        data = os.read(in_fd, 1 << 16)
        if not data:
            return
        for value in reader.feed(data):
            _serve(lister, out_fd, value)


def _serve(lister: "Lister", fd: "int", value: "Any") -> "None":
    number, verb, args = value
    try:
        for part in {"look": lister.look, "contents": lister.contents, "file": lister.file}[verb](args):
            _send(fd, [number, "part", part])
        _send(fd, [number, "done", {}])
    except AfieldError as error:
        _send(fd, [number, "error", error.to_value()])
    except OSError:
        raise  # nobody reads any more
    except Exception as error:
        _send(fd, [number, "error", InternalError("%s: %s" % (type(error).__name__, error)).to_value()])


def _send(fd: "int", value: "Any") -> "None":
    view = memoryview(encode_record(value))
    while view:
        view = view[os.write(fd, view) :]
