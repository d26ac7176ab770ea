"""A stream that shows a job: its journal from a point on, then what comes, and the keys and sizes of who watches  [P].

The journal is the only source, so what is shown can be shown again: who comes back names where it began and how many bytes it
has (``start``, ``out``, ``err``), also to another agent. Rules: at most one chunk is held; nothing a client does or leaves undone
reaches the job but ``input``, ``resize``. Signals of the client mean the view, never the job.
"""

import os
from collections import deque
from time import gmtime, strftime

from afield.agent import jobdir
from afield.agent.jobdoor import connect
from afield.agent.joblog import COUNT, ERR, NOTE, OUT, Reader
from afield.agent.session import Service
from afield.errors import ProcessError
from afield.wire.messages import read_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, List, Optional, Tuple

    from afield.agent.keeper import Keeper
    from afield.agent.session import Channel

CHUNK = 262144  # read from the journal at once
LOOK_AGAIN = 1.0  # seconds between two looks at a job whose keeper does not answer


class JobView(Service):
    """See ``job`` in protocol.md."""

    def __init__(self, keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "None":
        self._keeper = keeper
        self._channel = channel
        self._header = header
        self._base = jobdir.root(keeper.info)
        job = jobdir.load(self._base, header["job"])
        self._folder = os.path.join(self._base, job["id"])
        self._reader = Reader(self._folder)
        self._skip = [header["out"], header["err"]]
        self._pieces: "Deque[Tuple[int, bytes]]" = deque()
        self._line_start = [True, True]
        self._peer: "Any" = None
        self._timer: "Any" = None
        self._asked = self._pumping = False
        self._over = False
        streams = (ERR,) if header["only_err"] else (OUT, ERR)
        start = self._begin(job, streams)
        self._at, self._cut = self._reader.seek(start)
        self._streams = streams
        channel.service = self
        channel.message(
            {"attached": {"pid": (job["process"] or [0])[0], "in": header["in"], "ended": False, "start": start}}
        )
        if job["first"] > 0 and start <= job["first"] and header["start"] is None:
            self._note("the oldest %d bytes of this job's journal were dropped" % job["first"])
        if job["state"] in jobdir.LIVE or job["lingers"]:
            self._connect()
        self._pump()

    def _begin(self, job: "Dict[str, Any]", streams: "Any") -> "int":
        header = self._header
        if header["start"] is not None:
            return int(header["start"])
        if header["quiet"]:
            return int(job["position"])
        if header["since"] is not None:
            begin = self._reader.since(header["since"])
            return begin if header["lines"] is None else max(begin, self._reader.tail(header["lines"], streams))
        return self._reader.first() if header["lines"] is None else self._reader.tail(header["lines"], streams)

    def _note(self, text: "str") -> "None":
        self._channel.message({"note": text})

    # out

    def sendable(self) -> "None":
        """Go on."""
        self._pump()

    def _pump(self) -> "None":
        if self._pumping or self._over:
            return
        self._pumping = True
        try:
            while self._channel.open and self._send_pieces():
                if self._header["quiet"] or not self._read_on():
                    self._at_end()
                    break
        finally:
            self._pumping = False

    def _send_pieces(self) -> "bool":
        """Send what is read; False when the client has no room for all."""
        while self._pieces:
            room = self._channel.sendable()
            if room <= 0:
                return False
            stream, data = self._pieces.popleft()
            if len(data) > room:
                self._pieces.appendleft((stream, data[room:]))
                data = data[:room]
            self._channel.send(data, err=stream == ERR)
        return True

    def _read_on(self) -> "bool":
        """Read a chunk; False when the journal has no more for now."""
        records, behind = self._reader.read(self._at, CHUNK)
        if not records:
            return False
        if records[0][0] > self._at:
            self._note("older output was dropped while it was read: %d bytes" % (records[0][0] - self._at))
            self._cut = 0
        run: "List[bytes]" = []  # pieces of one stream go as one: programs write in small ones
        last = OUT
        for position, stream, micros, data in records:
            if stream != last:
                self._put(last, b"".join(run))
                run, last = [], stream
            if stream == NOTE and len(data) == COUNT.size:
                self._note("%d bytes of output were not kept: the disk there was full" % COUNT.unpack(data)[0])
            elif stream in self._streams:
                piece = bytes(data[self._cut :] if position == self._at else data)
                run.append(self._timed(stream, piece, micros))
        self._put(last, b"".join(run))
        self._at, self._cut = behind, 0
        return True

    def _put(self, stream: "int", data: "bytes") -> "None":
        if not data:
            return
        skipped = min(self._skip[stream], len(data))
        self._skip[stream] -= skipped
        if len(data) > skipped:
            self._pieces.append((stream, data[skipped:]))

    def _timed(self, stream: "int", data: "bytes", micros: "int") -> "bytes":
        """Put the time before each line that begins here."""
        zone = self._header["times"]
        if zone is None or not data:
            return data
        stamp = strftime("%Y-%m-%d %H:%M:%S", gmtime(micros // 1000000 + zone * 60))
        mark = ("%s.%03d " % (stamp, micros // 1000 % 1000)).encode()
        whole = data.endswith(b"\n")
        text = (data[:-1] if whole else data).replace(b"\n", b"\n" + mark) + (b"\n" if whole else b"")
        text = mark + text if self._line_start[stream] else text
        self._line_start[stream] = whole
        return text

    # the end, or more

    def _at_end(self) -> "None":
        if not self._header["follow"]:
            self._finish(None)
            return
        if self._peer is not None and not self._asked:
            self._asked = True
            position = self._at if not self._header["quiet"] else 1 << 62
            self._peer.say({"tell": position})
        if self._peer is None:  # or it went just now
            self._look()

    def _look(self) -> "None":
        """No keeper to ask: read what it left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        job = self._job()
        if job is None:
            return
        if job["state"] in jobdir.LIVE:
            self._timer = self._keeper.loop.call_later(LOOK_AGAIN, self._again)
        elif job["position"] > self._at and not self._header["quiet"] and self._read_on():
            self._timer = self._keeper.loop.call_later(0.0, self._pump)
        else:
            self._finish(job)

    def _job(self) -> "Any":
        try:
            return jobdir.load(self._base, self._header["job"])
        except ProcessError as error:  # removed meanwhile
            self._close(error)
            return None

    def _again(self) -> "None":
        self._timer = None
        self._connect()
        self._pump()

    def _connect(self) -> "None":
        try:
            self._peer = connect(self._keeper.loop, self._folder, self._heard, self._gone)
        except OSError:
            return
        self._peer.on_left(self._left)
        self._owed: "List[int]" = []

    def _heard(self, value: "Dict[str, Any]") -> "None":
        self._asked = False
        if value.get("ended"):
            # The last output is in the journal, and so is the end.
            peer, self._peer = self._peer, None
            peer.close()
        self._pump()

    def _gone(self) -> "None":
        if self._peer is not None:
            self._peer = None
            self._asked = False
            self._pump()

    def _finish(self, job: "Optional[Dict[str, Any]]") -> "None":
        """Tell how the job ended (``job``), or only that this is all."""
        ended = (job or {}).get("exit")
        if job is None or (ended is None and not self._header["result"]):
            ended = {"exit": 0}
        if ended is None:
            assert job is not None
            self._close(
                ProcessError("job %s %s" % (job["name"], words(job)), hint="its output: afield logs %s" % job["number"])
            )
            return
        if not self._header["result"]:
            ended = {"exit": 0}
        self._over = True
        self._channel.message(ended)
        self._channel.end()
        self._channel.close()
        self._clear()

    def _close(self, error: "ProcessError") -> "None":
        self._over = True
        self._channel.close(error)
        self._clear()

    # in

    def data(self, data: "Any", err: "bool") -> "None":  # noqa: ARG002 one interface for all services
        """Pass keys on."""
        if self._peer is not None and self._header["input"]:
            self._owed.append(len(data))
            self._peer.say({"input": bytes(data)})
        else:
            self._channel.consumed(len(data))

    def _left(self, _count: "int") -> "None":
        # Records leave in order: with nothing queued all of them have.
        if self._peer is not None and not self._peer.queued and self._owed:
            owed, self._owed = sum(self._owed), []
            self._channel.consumed(owed)

    def message(self, value: "Any") -> "None":
        """Take ``{"resize"}``; a signal is not for the job. Raises ProtocolError."""
        name, what = read_message(value)
        if name == "resize" and self._peer is not None:
            self._peer.say({"resize": what})

    def closed(self) -> "None":
        """The client looks no more."""
        self._over = True
        self._clear()

    def _clear(self) -> "None":
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reader.close()
        self._pieces.clear()


def words(job: "Dict[str, Any]") -> "str":
    """Say what became of a job that has no exit status."""
    if job["state"] == "lost in a reboot":
        return "was lost: %s was rebooted while it ran" % job["host"]
    if job["state"] == "keeper gone":
        runs = "; its process %d still runs" % job["process"][0] if job["alive"] else ""
        return "has no known end: its keeper was killed" + runs
    if job["state"] == "elsewhere":
        return "is a job of another host: %s" % job["host"]
    return "did not run: %s" % (job["why"] or job["state"])
