"""Which frame leaves next: control, then streams that were quiet (sparse), then bulk in turns  [P].

After fq_codel (RFC 8290): a stream that sends little in a round trip goes before those that always have something; the others
take turns of one quantum (deficit round robin with a quantum of one frame). The link window holds back the bulk only, for
a queue below us, in ssh and in the network, cannot be overtaken. Rules: references, never copies of data. No credit here.
"""

from collections import deque

from afield.wire.frames import HEADER_SIZE, header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, List, Union

    from afield.wire.limits import Limits
    from afield.wire.streams import Stream

    Buffers = List[Union[bytes, memoryview]]

CONTROL, SPARSE, BULK, IDLE = "control", "sparse", "bulk", ""


class Schedule:
    """Holds the frames without a place in a stream, and the streams that have something to send."""

    def __init__(self, limits: "Limits") -> "None":
        self._limits = limits
        self.control: "Deque[bytes]" = deque()
        self.control_size = 0
        self.sparse: "Deque[Stream]" = deque()
        self.bulk: "Deque[Stream]" = deque()

    def put_control(self, frame: "bytes") -> "None":
        """Queue a frame that goes before all streams."""
        self.control.append(frame)
        self.control_size += len(frame)

    def wake(self, stream: "Stream", sent: "int", acked: "int") -> "None":
        """Give a stream that has something queued its place; ``sent`` and ``acked`` count the bytes of the link."""
        if stream.lane == BULK:
            return
        if stream.lane == IDLE and acked >= stream.sparse_mark:
            stream.sparse_left = self._limits.sparse
            stream.sparse_mark = sent + stream.pending
        if stream.bulk is False or (stream.pending <= stream.sparse_left and stream.bulk is None):
            if stream.lane == IDLE:
                stream.lane = SPARSE
                self.sparse.append(stream)
            return
        # One that was sparse and now holds more stays in that queue too: it is passed over there.
        stream.lane = BULK
        self.bulk.append(stream)

    def take_control(self, out: "Buffers", limit: "int") -> "int":
        """Move control frames into ``out``, about ``limit`` bytes; gives how many bytes."""
        control = self.control
        size = 0
        while control and size < limit and len(out) < self._limits.batch:
            # Many frames of a few bytes each make one buffer.
            piece = [control.popleft()]
            length = len(piece[0])
            while control and length + len(control[0]) <= self._limits.joined:
                piece.append(control.popleft())
                length += len(piece[-1])
            out.append(piece[0] if len(piece) == 1 else b"".join(piece))
            size += length
        self.control_size -= size
        return size

    def take_sparse(self, out: "Buffers", limit: "int", done: "List[Stream]") -> "int":
        """Move everything that sparse streams have into ``out``, about ``limit`` bytes; ``done`` gets those now empty."""
        size = 0
        while self.sparse and size < limit and len(out) < self._limits.batch:
            stream = self.sparse[0]
            if stream.lane == SPARSE:
                moved = self._take(stream, out, limit - size)
                size += moved
                stream.sparse_left -= moved
                if stream.queue:
                    continue
                stream.lane = IDLE
                done.append(stream)
            self.sparse.popleft()
        return size

    def take_bulk(self, out: "Buffers", limit: "int", done: "List[Stream]") -> "int":
        """Move one quantum of each bulk stream in turn into ``out``, about ``limit`` bytes; ``done`` gets those touched."""
        size = 0
        while self.bulk and size < limit and len(out) < self._limits.batch:
            stream = self.bulk[0]
            size += self._take(stream, out, self._limits.frame)
            done.append(stream)
            if stream.queue:
                self.bulk.rotate(-1)
            else:
                stream.lane = IDLE
                self.bulk.popleft()
        return size

    def _take(self, stream: "Stream", out: "Buffers", budget: "int") -> "int":
        """Move frames of one stream into ``out`` until ``budget`` bytes are reached."""
        queue = stream.queue
        size = 0
        while queue and size < budget:
            kind, data = queue.popleft()
            if not kind:
                out.append(data)
                length = len(data)
                size += length
                stream.pending -= length
                continue
            length = len(data)
            pieces = [data]
            # Small writes of the user share one frame.
            while queue and queue[0][0] == kind and length + len(queue[0][1]) <= self._limits.joined:
                pieces.append(queue.popleft()[1])
                length += len(pieces[-1])
            if length <= self._limits.joined:
                out.append(header(kind, stream.id, length) + b"".join(pieces))
            else:
                out.append(header(kind, stream.id, length))
                out.append(data)
            stream.pending -= length
            stream.emitted += length
            size += length + HEADER_SIZE
        return size
