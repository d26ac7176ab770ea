"""The output of a job on disk: framed records in segments, the oldest segment goes first, and an index to begin late  [P].

``out-START`` holds records: 16 bytes (length u32, stream u8, 3 zero bytes, microseconds since the epoch u64, all LE), then the bytes.
START is the position of the segment's first byte in the whole journal, 16 hexadecimal digits. ``idx-START`` holds pairs (offset in
the segment, microseconds, both u64) about every INDEX_EVERY bytes. A record is written by one call; one that was cut short is
where the reader stops. ``size`` holds the bytes of output so far, without heads and notes (u64). A disk that is full never stops the job: what is not kept is counted, and a NOTE record says so later.
No processes and no sockets in here.
"""

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

OUT, ERR, NOTE = 0, 1, 3
HEAD = struct.Struct("<IB3xQ")
PAIR = struct.Struct("<QQ")
COUNT = struct.Struct("<Q")
SIZE = "size"

LIMIT = 1 << 30  # a week of a chatty training run, and no more of a home's quota than one checkpoint
PARTS = 16  # segments of a full journal: dropping one loses a sixteenth
SMALLEST = 65536  # bytes of a segment, for limits that only a test sets
INDEX_EVERY = 1 << 20  # what is read and parsed to begin anywhere: some ms
LARGEST = 1 << 20  # one record; the keeper reads less at a time
LOOK_BACK = (
    4 << 20
)  # bytes that a search for the last lines reads at least before it gives up; output may have no line ends


class Writer:
    """Appends.

    ``position`` is the end, ``output`` counts bytes of output, ``lost`` those that the disk did not take, ``dropped`` the oldest that went.
    """

    def __init__(self, folder: "str", limit: "int" = LIMIT) -> "None":
        self.folder = folder
        self.position = 0
        self.output = self._told = 0
        self._told_in = -1
        self.lost = 0
        self.dropped = 0
        self._limit = limit
        self._whole = max(limit // PARTS, SMALLEST)
        self._gap = 0
        self._segments: "List[int]" = []
        self._out = self._index = -1
        self._size = 0
        self._indexed = 0

    def write(self, stream: "int", data: "Any", now: "float") -> "None":
        """Append data (bytes-like, at most LARGEST). Never raises for a disk."""
        micros = int(now * 1e6)
        try:
            if self._out < 0 or self._size >= self._whole:
                self._roll()
            if self._gap:
                self._append(NOTE, COUNT.pack(self._gap), micros)
                self._gap = 0
            self._append(stream, data, micros)
            self.output += len(data)
        except OSError:
            self.lost += len(data)
            self._gap += len(data)

    def tell(self) -> "None":
        """Leave the number of bytes for readers; a disk that takes none keeps the last number."""
        if self.output == self._told:
            return
        try:
            if self._told_in < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._told_in = os.open(os.path.join(self.folder, SIZE), flags, 0o600)
            os.pwrite(self._told_in, COUNT.pack(self.output), 0)
            self._told = self.output
        except OSError:
            return

    def close(self) -> "None":
        """Write what is still to be said, and close."""
        self.tell()
        if self._gap and self._out >= 0:
            try:
                self._append(NOTE, COUNT.pack(self._gap), 0)
                self._gap = 0
            except OSError:
                pass
        for fd in (self._out, self._index, self._told_in):
            if fd >= 0:
                os.close(fd)
        self._out = self._index = self._told_in = -1

    def _append(self, stream: "int", data: "Any", micros: "int") -> "None":
        size = HEAD.size + len(data)
        written = 0
        try:
            written = os.writev(self._out, [HEAD.pack(len(data), stream, micros), data])
            if written < size:
                rest = memoryview(HEAD.pack(len(data), stream, micros) + bytes(data))[written:]
                while rest:
                    rest = rest[os.write(self._out, rest) :]
        except OSError:
            os.ftruncate(self._out, self._size)
            raise
        if self._size - self._indexed >= INDEX_EVERY or not self._size:
            self._indexed = self._size
            try:
                os.write(self._index, PAIR.pack(self._size, micros))
            except OSError:  # without it the search begins one step earlier
                pass
        self._size += size
        self.position += size

    def _roll(self) -> "None":
        """Begin a new segment; the oldest one goes when the limit is reached. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        out = os.open(self._name("out", self.position), flags, 0o600)
        try:
            index = os.open(self._name("idx", self.position), flags, 0o600)
        except OSError:
            os.close(out)
            raise
        for fd in (self._out, self._index):
            if fd >= 0:
                os.close(fd)
        self._out, self._index = out, index
        self._size = self._indexed = 0
        if self.position not in self._segments:
            self._segments.append(self.position)
        while len(self._segments) > 1 and self.position - self._segments[0] + self._whole > self._limit:
            oldest = self._segments.pop(0)
            self.dropped = self._segments[0]
            for kind in ("out", "idx"):
                try:
                    os.unlink(self._name(kind, oldest))
                except OSError:
                    pass

    def _name(self, kind: "str", start: "int") -> "str":
        return os.path.join(self.folder, "%s-%016x" % (kind, start))


class Reader:
    """Reads a journal that may be written meanwhile. Positions are those of the whole journal."""

    def __init__(self, folder: "str") -> "None":
        self.folder = folder
        self._fd = -1
        self._start = -1

    def segments(self) -> "List[int]":
        """Give the starts of what is kept, oldest first."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return sorted(int(name[4:], 16) for name in names if name.startswith("out-") and len(name) == 20)

    def first(self) -> "int":
        """Give the position of the oldest byte that is kept."""
        return (self.segments() or [0])[0]

    def end(self) -> "int":
        """Give the position behind the last byte."""
        found = self.segments()
        return found[-1] + self._length(found[-1]) if found else 0

    def output(self) -> "int":
        """Give the bytes of output so far, those that went already included; of a job of an older afield the journal's."""
        try:
            with open(os.path.join(self.folder, SIZE), "rb", 0) as file:
                return int(COUNT.unpack(file.read(COUNT.size))[0])
        except (OSError, struct.error):
            return self.end()

    def close(self) -> "None":
        """Close the segment that is open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = self._start = -1

    def read(self, position: "int", limit: "int" = 262144) -> "Tuple[List[Tuple[int, int, int, memoryview]], int]":
        """Give whole records (position, stream, microseconds, bytes) from the record at position on, and where to go on.

        About limit bytes of them, at least one; none: that is all for now. A position that is kept no more moves to the oldest.
        """
        for _ in range(3):  # a segment that ends, and one that goes away meanwhile
            start = self._segment_of(position)
            if start is None:
                return [], position
            position = max(position, start)
            records, behind = self._parse(position - start, limit)
            if records:
                return [(start + at, stream, micros, data) for at, stream, micros, data in records], start + behind
            later = [each for each in self.segments() if each > start]
            if not later or position < start + self._length(start):
                return [], position
            position = later[0]
        return [], position

    def _parse(self, offset: "int", limit: "int") -> "Tuple[List[Tuple[int, int, int, memoryview]], int]":
        data = os.pread(self._fd, limit, offset)
        if len(data) >= HEAD.size:
            size = HEAD.unpack_from(data)[0] + HEAD.size
            if size > len(data) == limit and size <= LARGEST + HEAD.size:
                data = os.pread(self._fd, size, offset)
        view, at, records = memoryview(data), 0, []
        unpack, head = HEAD.unpack_from, HEAD.size
        while at + head <= len(data):
            length, stream, micros = unpack(data, at)
            if at + head + length > len(data) or length > LARGEST:
                break
            records.append((offset + at, stream, micros, view[at + head : at + head + length]))
            at += head + length
        return records, offset + at

    def _segment_of(self, position: "int") -> "Optional[int]":
        """Open the segment that holds position, or the oldest one behind it."""
        if 0 <= self._start <= position < self._start + self._length(self._start):
            return self._start
        found = self.segments()
        for start in [each for each in reversed(found) if each <= position] or found[:1]:
            if start != self._start:
                self.close()
                try:
                    self._fd = os.open(self._name("out", start), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                except FileNotFoundError:
                    return self._segment_of(found[1]) if len(found) > 1 and found[1] > position else None
                self._start = start
            return start
        return None

    def _length(self, start: "int") -> "int":
        try:
            return os.fstat(self._fd).st_size if start == self._start else os.stat(self._name("out", start)).st_size
        except OSError:
            return 0

    # where to begin

    def marks(self, start: "int") -> "List[Tuple[int, int]]":
        """Give (position, microseconds) of the index of one segment, oldest first; the segment's own start is always there."""
        try:
            with open(self._name("idx", start), "rb", 0) as file:
                data = file.readall()
        except OSError:
            data = b""
        pairs = [PAIR.unpack_from(data, at) for at in range(0, len(data) - PAIR.size + 1, PAIR.size)]
        length = self._length(start)
        found = [(start + offset, micros) for offset, micros in pairs if offset <= length]
        return found if found and found[0][0] == start else [(start, 0)] + found

    def backwards(self, position: "int") -> "Iterator[int]":
        """Give the indexed positions before position, latest first."""
        for start in reversed(self.segments()):
            if start < position:
                for mark, _ in reversed(self.marks(start)):
                    if mark < position:
                        yield mark

    def seek(self, position: "int") -> "Tuple[int, int]":
        """Give (position of the record that holds this byte, bytes of its content to skip)."""
        mark = next(self.backwards(position + 1), position)
        while True:
            records, behind = self.read(mark)
            if not records or records[0][0] > position:
                return position, 0
            for at, _, _, data in records:
                if at + HEAD.size + len(data) > position:
                    return at, max(0, position - at - HEAD.size)
            mark = behind

    def since(self, micros: "int") -> "int":
        """Give the position of the first record of that time or later; the end when there is none."""
        begin = self.first()
        for start in reversed(self.segments()):
            earlier = [mark for mark, time in self.marks(start) if time and time < micros]
            if earlier:
                begin = earlier[-1]
                break
        while True:
            records, behind = self.read(begin)
            if not records:
                return begin
            for at, _, time, _ in records:
                if time >= micros:
                    return at
            begin = behind

    def tail(self, lines: "int", streams: "Any" = (OUT, ERR)) -> "int":
        """Give the position where the last lines begin; a last line without its end counts. Looks back as far as needed.

        Output without line ends is given up on after LOOK_BACK bytes, or 4 KiB for each line.
        """
        if lines <= 0:
            return self.end()
        end = upper = self.end()
        left, last = lines, True
        for mark in self.backwards(end):
            found = []
            at = mark
            while at < upper:
                records, behind = self.read(at, INDEX_EVERY)
                if not records:
                    break
                found += [each for each in records if each[0] < upper and each[1] in streams]
                at = behind
            for place, _, _, data in reversed(found):
                text = bytes(data)
                if last and text:
                    last = False
                    left += text.endswith(b"\n")
                count = text.count(b"\n")
                if count < left:
                    left -= count
                    continue
                cut = len(text)
                for _ in range(left):
                    cut = text.rfind(b"\n", 0, cut)
                return place + HEAD.size + cut + 1
            upper = mark
            if end - mark > max(LOOK_BACK, lines << 12):
                return mark
        return self.first()

    def _name(self, kind: "str", start: "int") -> "str":
        return os.path.join(self.folder, "%s-%016x" % (kind, start))
