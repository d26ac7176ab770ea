"""What a process printed and nobody has consumed yet  [P].

One sequence of segments in the order in which they were read, both channels in it, because credit counts both together.
``sent`` was handed to the link and waits to be consumed; ``waiting`` was not handed over. Consumed segments go.
``waiting`` beyond MEMORY goes to a file that has no name any more (a killed agent leaves nothing behind), and when that is
full too, ``room()`` is 0 and the process waits. A new client names its offsets (``rewind``) and gets everything from there.
No descriptors of processes, no link in here.
"""

import os
from collections import deque

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, List, Optional, Tuple

OUT = 0
ERR = 1

MEMORY = 1 << 20  # a shell's worth of scrollback; many idle processes must fit in the agent's 25 MB
SPILL = 64 << 20  # an hour of a chatty training run; a place's /tmp may be small
MERGE = 4096  # smaller pieces are joined: a segment costs about 150 bytes whatever it holds
MERGED = 65536  # joined pieces stay below one frame
PIECE = 65536  # one frame


class Segment:
    """A run of bytes of one channel: ``data`` in memory, or ``place`` in the spill file."""

    __slots__ = ("channel", "data", "length", "offset", "place")

    def __init__(self, channel: "int", offset: "int", data: "Any", length: "int", place: "int") -> "None":
        self.channel = channel
        self.offset = offset
        self.data = data
        self.length = length
        self.place = place


class Journal:
    """Output of one process. ``open_spill() -> fd`` makes the file; it may raise OSError, then memory is all there is."""

    def __init__(
        self, open_spill: "Optional[Callable[[], int]]" = None, *, memory: "int" = MEMORY, spill: "int" = SPILL
    ) -> "None":
        self.produced = [0, 0]
        self._sent: "Deque[Segment]" = deque()
        self._waiting: "Deque[Segment]" = deque()
        self._waiting_bytes = 0
        self._in_memory = 0  # of the waiting ones
        self._consumed = 0  # since the last rewind
        self._open_spill = open_spill
        self._memory = memory
        self._spill = spill
        self._file = -1
        self._file_end = 0
        self._in_file = 0  # segments, sent or waiting, that live in the file

    # filling

    def room(self) -> "int":
        """Bytes that may be kept for a client that is away."""
        left = self._memory - self._in_memory
        if self._open_spill is not None:
            left = max(left, 0) + self._spill - self._file_end
        return max(left, 0)

    @property
    def waiting(self) -> "int":
        """Bytes that were not handed to the link yet."""
        return self._waiting_bytes

    @property
    def kept(self) -> "int":
        """Bytes that are kept, handed over or not."""
        return self._waiting_bytes + sum(segment.length for segment in self._sent)

    @property
    def disk(self) -> "int":
        """Bytes that the spill file takes on disk."""
        return self._file_end

    def append(self, channel: "int", data: "bytes") -> "None":
        """Keep data for later. The caller looked at ``room`` first; a full disk keeps it in memory all the same."""
        offset = self.produced[channel]
        self.produced[channel] += len(data)
        self._waiting_bytes += len(data)
        behind_file = bool(self._waiting) and self._waiting[-1].data is None
        if (behind_file or self._in_memory + len(data) > self._memory) and self._to_file(channel, offset, data):
            return
        self._in_memory += len(data)
        _push(self._waiting, Segment(channel, offset, data, len(data), -1))

    def append_sent(self, channel: "int", data: "bytes") -> "None":
        """Keep data that goes to the link right now."""
        offset = self.produced[channel]
        self.produced[channel] += len(data)
        _push(self._sent, Segment(channel, offset, data, len(data), -1))

    def _to_file(self, channel: "int", offset: "int", data: "bytes") -> "bool":
        if self._open_spill is None or self._file_end + len(data) > self._spill:
            return False
        try:
            if self._file < 0:
                self._file = self._open_spill()
            done = 0
            while done < len(data):
                done += os.pwrite(self._file, data[done:], self._file_end + done)
        except OSError:  # full, or no folder: from now on the process waits when the memory is full
            self._open_spill = None
            return False
        last = self._waiting[-1] if self._waiting else None
        if (
            last is not None
            and last.data is None
            and last.channel == channel
            and last.place + last.length == self._file_end
        ):
            last.length += len(data)
        else:
            self._waiting.append(Segment(channel, offset, None, len(data), self._file_end))
            self._in_file += 1
        self._file_end += len(data)
        return True

    # emptying

    def take(self, limit: "int") -> "Optional[Tuple[int, bytes]]":
        """Move up to limit bytes (at most one frame) from waiting to sent and give them with their channel."""
        if not self._waiting or limit <= 0:
            return None
        limit = min(limit, PIECE)
        head = self._waiting[0]
        count = min(limit, head.length)
        if head.data is None:
            data = self._read(head.place, count)
            if count == head.length:
                self._waiting.popleft()
                self._file_left()
            else:
                head.place += count
        else:
            data = bytes(memoryview(head.data)[:count])
            self._in_memory -= count
            if count == head.length:
                self._waiting.popleft()
            else:
                head.data = memoryview(head.data)[count:]
        _push(self._sent, Segment(head.channel, head.offset, data, count, -1))
        head.offset += count
        head.length -= count
        self._waiting_bytes -= count
        return head.channel, data

    def _read(self, place: "int", count: "int") -> "bytes":
        data = b""
        while len(data) < count:
            piece = os.pread(self._file, count - len(data), place + len(data))
            if not piece:
                raise OSError(5, "the spilled output is shorter than it was written")
            data += piece
        return data

    def _file_left(self) -> "None":
        self._in_file -= 1
        if not self._in_file:
            os.ftruncate(self._file, 0)
            self._file_end = 0

    def consumed(self, total: "int") -> "None":
        """The client used so many bytes since it began (both channels): they are dropped."""
        count = total - self._consumed
        self._consumed = max(total, self._consumed)
        while count > 0 and self._sent:
            head = self._sent[0]
            if head.length <= count:
                count -= head.length
                self._sent.popleft()
            else:
                head.data = memoryview(head.data)[count:]
                head.offset += count
                head.length -= count
                return

    def rewind(self, out: "int", err: "int") -> "None":
        """Begin again for a client that has out and err bytes. Raises ProtocolError when that is impossible."""
        wanted = (out, err)
        first = self._first_offsets()
        for channel in (OUT, ERR):
            if not first[channel] <= wanted[channel] <= self.produced[channel]:
                raise ProtocolError(
                    "cannot attach at %d of %s: kept are %d to %d"
                    % (wanted[channel], ("out", "err")[channel], first[channel], self.produced[channel])
                )
        everything = [*self._sent, *self._waiting]
        self._sent.clear()
        self._waiting.clear()
        self._consumed = 0
        for segment in everything:
            self._wait_again(segment, wanted[segment.channel])
        self._waiting_bytes = sum(segment.length for segment in self._waiting)
        self._in_memory = sum(segment.length for segment in self._waiting if segment.data is not None)

    def _first_offsets(self) -> "List[int]":
        first = list(self.produced)
        for segments in (self._waiting, self._sent):
            for segment in segments:
                first[segment.channel] = min(first[segment.channel], segment.offset)
        return first

    def _wait_again(self, segment: "Segment", wanted: "int") -> "None":
        skip = min(max(wanted - segment.offset, 0), segment.length)
        if skip == segment.length:
            if segment.data is None:
                self._file_left()
            return
        segment.offset += skip
        segment.length -= skip
        if segment.data is None:
            segment.place += skip
        elif skip:
            segment.data = memoryview(segment.data)[skip:]
        self._waiting.append(segment)

    def close(self) -> "None":
        """Drop everything."""
        self._sent.clear()
        self._waiting.clear()
        self._waiting_bytes = self._in_memory = 0
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _push(segments: "Deque[Segment]", new: "Segment") -> "None":
    """Append, joining small pieces of the same channel."""
    if segments and new.length < MERGE:
        last = segments[-1]
        if (
            last.channel == new.channel
            and last.data is not None
            and last.length < MERGED
            and last.offset + last.length == new.offset
        ):
            if not isinstance(last.data, bytearray):
                last.data = bytearray(last.data)
            last.data += new.data
            last.length += new.length
            return
    segments.append(new)
