"""What leaves on a link, and what of it may have to leave again  [P].

Joins the schedule (which frame), the link window (how much), the replay (what again) and our acknowledgements and credit
(what the peer must be told). Rules: a frame that is given out counts as sent at once. Nothing that comes in is read here.
"""

from afield.errors import ProtocolError
from afield.wire.frames import ACK, CREDIT, frame, pack_credit, pack_u64
from afield.wire.resume import Replay
from afield.wire.schedule import Schedule
from afield.wire.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Union

    from afield.wire.limits import Limits
    from afield.wire.streams import Stream

    Buffers = List[Union[bytes, memoryview]]


class Outbox:
    """Offsets count the bytes of this side's stream, ``received`` those of the peer's."""

    def __init__(self, limits: "Limits") -> "None":
        self._limits = limits
        self.schedule = Schedule(limits)
        self.window = Window(limits)
        self.replay = Replay()
        self._again: "Buffers" = []
        self.received = 0
        self._acked = 0  # of received, as the peer was told
        self._told = 0  # of our bytes, in the peer's last acknowledgement
        self._ack_owed = False  # something came that wants an acknowledgement
        self._ack_due = False  # ... now
        self._ack_deadline = 0.0
        self._credit_due: "Dict[int, Stream]" = {}
        self._credit_late: "Dict[int, Stream]" = {}  # consumed bytes that are told when their deadline comes
        self._credit_deadline = 0.0

    # -- what is to be told

    def put(self, stream: "Stream", kind: "int", data: "Union[bytes, memoryview]") -> "None":
        """Queue data of a stream."""
        stream.put(kind, data)
        self.schedule.wake(stream, self.replay.end, self.replay.start)

    def put_frame(self, stream: "Stream", whole: "bytes") -> "None":
        """Queue a frame behind what its stream has queued."""
        if not stream.queue:
            self.schedule.put_control(whole)
            return
        stream.put_frame(whole)
        self.schedule.wake(stream, self.replay.end, self.replay.start)

    def owe_ack(self, now: "float") -> "None":
        """Take note of frames that want an acknowledgement; raises ProtocolError when the peer never acknowledges ours."""
        if not self._ack_owed:
            self._ack_owed = True
            self._ack_deadline = now + self._limits.ack_delay

    def count(self, size: "int") -> "None":
        """Take note of received bytes; raises ProtocolError when the peer sends on and never acknowledges."""
        self.received += size
        if self.received - self._acked >= self._limits.ack_bytes:
            self._ack_due = True
            limits = self._limits
            if len(self.replay) > limits.window_most + limits.slack + limits.refusal:
                raise ProtocolError("expected acknowledgements, got none for %d bytes" % (len(self.replay),))

    def owe_credit(self, stream: "Stream") -> "None":
        """Send CREDIT for a stream with the next bytes."""
        self._credit_due[stream.id] = stream
        self._credit_late.pop(stream.id, None)

    def owe_credit_later(self, stream: "Stream", now: "float") -> "None":
        """Send CREDIT for a stream when more was consumed, or a little later."""
        if stream.id not in self._credit_due:
            if not self._credit_late:
                self._credit_deadline = now + self._limits.credit_delay
            self._credit_late[stream.id] = stream

    def forget(self, stream: "Stream") -> "None":
        """Owe nothing to a stream that is over."""
        self._credit_due.pop(stream.id, None)
        self._credit_late.pop(stream.id, None)

    def next_deadline(self, deadline: "float") -> "float":
        """Give the earliest of ``deadline`` and our own."""
        if self._ack_owed and not self._ack_due and self._ack_deadline < deadline:
            deadline = self._ack_deadline
        if self._credit_late and self._credit_deadline < deadline:
            deadline = self._credit_deadline
        return deadline

    def deadline_passed(self, now: "float") -> "None":
        """Let what is late leave with the next bytes."""
        if self._ack_owed and now >= self._ack_deadline:
            self._ack_due = True
        if self._credit_late and now >= self._credit_deadline:
            self._credit_due.update(self._credit_late)
            self._credit_late.clear()

    # -- what leaves

    def resume(self, offset: "int") -> "None":
        """Begin on a fresh transport whose other end has ``offset`` bytes; raises ProtocolError when that cannot be."""
        self.replay.acknowledge(offset)
        self._again = self.replay.unacknowledged()
        self.window.restart()

    def acknowledged(self, offset: "int", now: "float") -> "None":
        """Take the peer's acknowledgement; raises ProtocolError for an offset that cannot be."""
        if offset < self._told:
            raise ProtocolError("expected the peer to have received %d bytes or more, got %d" % (self._told, offset))
        self._told = offset
        if offset < self.replay.start:
            return  # sent before a cut and repeated after it: the hello in between told more already
        self.replay.acknowledge(offset)
        self.window.acknowledged(offset, self.replay.end, now)

    def take(self, out: "Buffers", limit: "int", now: "float") -> "List[Stream]":
        """Put about ``limit`` bytes into ``out``; gives the streams that moved."""
        moved: "List[Stream]" = []
        if self._again:
            self._take_again(out, limit)
            return moved
        before = len(out)
        size = self._fill(out, limit, moved)
        if size:
            self.replay.add(out[before:], size)
            self.window.sent(self.replay.end, now)
        return moved

    def _take_again(self, out: "Buffers", limit: "int") -> "None":
        size = count = 0
        for chunk in self._again[: self._limits.batch]:
            if size >= limit:
                break
            size += len(chunk)
            count += 1
        out += self._again[:count]
        del self._again[:count]

    def _fill(self, out: "Buffers", limit: "int", moved: "List[Stream]") -> "int":
        size = self._put_ack(out) if self._ack_due else 0
        unacked = len(self.replay)
        if unacked > self._limits.window_most + self._limits.slack:
            return size  # the peer takes and does not acknowledge: only our own acknowledgements leave, or both ends wait for ever
        schedule = self.schedule
        for number, stream in self._credit_due.items():
            schedule.put_control(frame(CREDIT, number, pack_credit(*stream.grant())))
        self._credit_due.clear()
        if schedule.control:
            size += schedule.take_control(out, limit - size)
        if schedule.sparse and size < limit:
            size += schedule.take_sparse(out, limit - size, moved)
        if schedule.bulk and size < limit:
            room = self.window.size - unacked - size
            if room > 0:
                size += schedule.take_bulk(out, min(limit - size, room), moved)
            if schedule.bulk and unacked + size >= self.window.size:
                self.window.held_back()
        if size and self._ack_owed:
            size += self._put_ack(out)
        return size

    def _put_ack(self, out: "Buffers") -> "int":
        self._acked = self.received
        self._ack_due = self._ack_owed = False
        whole = frame(ACK, 0, pack_u64(self.received))
        out.append(whole)
        return len(whole)
