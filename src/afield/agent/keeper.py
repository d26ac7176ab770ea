"""What outlives a link: the sessions, the processes, the run folder, and the decision to leave  [P].

The agent leaves IDLE seconds after the last link when no process is kept. A process is kept until a client has got all of it.
Rules: a later login hands its descriptors over and sleeps; sessions that nobody takes up again are given up after LOST.
The services themselves are elsewhere (``services``), and so is how logins meet (``joining``).
"""

import os
import sys
from time import monotonic

from afield.agent import joining, records
from afield.agent.loop import READ
from afield.agent.parked import Parking
from afield.agent.pumps import close_quietly
from afield.agent.services import open_service
from afield.agent.session import Session
from afield.agent.transport import Transport
from afield.wire.hello import NEW, gone, same_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Set

    from afield.agent.joining import Place
    from afield.agent.loop import Loop, Timer
    from afield.agent.processes import Process
    from afield.agent.session import Channel
    from afield.agent.views import Views

IDLE = 600.0  # seconds; a link that comes back within a coffee break finds everything warm
LOST = 3600.0  # seconds until files and ports of a client that vanished are given up; its processes are not
STALE = 259200.0  # seconds, three days: a long weekend until the end of a process that nobody asks for is forgotten
MINUTE = 60.0
# Ended and delivered processes that can still be attached to (a client that died after it got the end): number and bytes.
MOST_ENDED = 256
MOST_ENDED_BYTES = 4 << 20
# Looking costs some microseconds for each ended process, so it waits for a few of them or for a large one (bytes).
LOOK_EVERY = 16
LARGE = 262144
LOOK_AFTER = 0.5  # seconds: what was just handed over has left by then, so that it can be told whether it arrived
LARGEST_LOG = 262144
KILL_AFTER = 5.0


class Keeper:
    """The agent's state. ``place`` is None when nobody can join (no run folder)."""

    def __init__(self, loop: "Loop", info: "Dict[str, Any]", place: "Optional[Place]") -> "None":
        self.loop = loop
        self.info = info
        self.place = place
        self.sessions: "Dict[bytes, Session]" = {}
        self.transports: "Set[Transport]" = set()
        self.processes: "Dict[bytes, Process]" = {}
        self.helpers: "Set[int]" = set()
        self.parking = Parking(loop)
        self._views: "Optional[Views]" = None
        self.poller: "Any" = None  # treeports.Poller, once a run wants it
        self._idle = _seconds("AFIELD_IDLE", IDLE)
        self._leaving = False
        self._met = False
        self._announced = 0
        self._look_timer: "Optional[Timer]" = None
        self._idle_timer: "Optional[Timer]" = None
        self._own_stderr = True
        identity = place.identity if place is not None else ""
        path = place.path(".procs") if place is not None else None
        left = records.read_orphans(path, identity) if path is not None else []
        self._records = records.Records(path, identity)
        self._end_orphans(left)
        if place is not None:
            self._listening = loop.watch(place.listener.fileno(), READ, self._accept)
        loop.report = self.log_failure
        loop.call_later(MINUTE, self._minute)

    now = staticmethod(monotonic)

    # transports and sessions

    def add_transport(self, fd_in: "int", fd_out: "int", bridge: "Any" = None) -> "None":
        """Serve a pair of descriptors."""
        self.transports.add(Transport(self, fd_in, fd_out, bridge))
        self._look_at_idle()

    def transport_over(self, transport: "Transport") -> "None":
        """Forget a transport that was closed."""
        self.transports.discard(transport)
        if self._own_stderr:
            # The first login's stderr: holding it would keep that login's ssh waiting.
            self._own_stderr = False
            self._open_log()
        self._look_at_idle()

    def hello(self, transport: "Transport", hello: "Any", now: "float") -> "None":
        """Give a transport whose hello came to its session, or refuse it. Raises ProtocolError."""
        session = self.sessions.get(hello.session)
        if session is not None and not same_secret(session.secret, hello.secret):
            session = None
        elif session is None and hello.flags == NEW:
            session = Session(self, hello.session, hello.secret, now)
            self.sessions[hello.session] = session
            self.loop.sources.append(session)
        if session is None:
            transport.refuse(gone(hello))
        else:
            self._met = True
            session.take_transport(transport, hello, now)

    def session_over(self, session: "Session") -> "None":
        """Forget a session; its transport closes by itself when the client hangs up."""
        if self.sessions.get(session.id) is session:
            del self.sessions[session.id]
            self.loop.sources.remove(session)
        if session.transport is not None:
            transport, session.transport = session.transport, None
            transport.session = None
            transport.close()
        self._look_at_idle()

    def open_service(self, channel: "Channel", header: "Any") -> "None":
        """Start what a new stream asks for. Raises AfieldError."""
        open_service(self, channel, header)

    def _accept(self) -> "None":
        assert self.place is not None
        sock = joining.accept(self.place.listener)
        if sock is None:
            return

        def readable() -> "None":
            try:
                taken = joining.take_descriptors(sock)
            except BlockingIOError:
                return
            except OSError:
                taken = None
            watch.stop()
            if taken is None:
                sock.close()
            else:
                self.add_transport(taken[0], taken[1], sock)

        watch = self.loop.watch(sock.fileno(), READ, readable)

    def bridges(self) -> "int":
        """Give the number of logins that sleep."""
        return sum(transport.has_bridge for transport in self.transports)

    # processes

    def kept(self) -> "List[Process]":
        """Give the processes that a client may still want something of."""
        return [process for process in self.processes.values() if not process.delivered]

    def process_runs(self, process: "Process") -> "None":
        """Take note of a process that started."""
        self._records.started(process.pid)
        if process.request.view is not None:
            self.views().started(process.request.view)
        self._look_at_idle()

    def process_ended(self, process: "Process") -> "None":
        """Take note of a process that ended; it may still be asked about."""
        self._records.ended(process.pid)
        if process.request.view is not None:
            self.views().ended(process.request.view)

    def process_announced(self, process: "Process") -> "None":
        """Take note that all of a process was handed over; now and then look at what that leaves behind."""
        self._announced += 1
        if (self._announced % LOOK_EVERY == 0 or process.journal.kept > LARGE) and self._look_timer is None:
            self._look_timer = self.loop.call_later(LOOK_AFTER, self._drop_ended)

    def views(self) -> "Views":
        """Give the views of the place in which programs run."""
        if self._views is None:
            from afield.agent.views import Views

            self._views = Views(self)
        return self._views

    def forget_process(self, process: "Process") -> "None":
        """Drop a process and what is kept of it."""
        if self.processes.get(process.id) is process:
            del self.processes[process.id]
            process.journal.close()
        self._look_at_idle()

    def _drop_ended(self) -> "None":
        """Keep what ended only as far as it is cheap."""
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        ended = [process for process in self.processes.values() if process.delivered]
        total = sum(process.journal.kept for process in ended)
        while ended and (len(ended) > MOST_ENDED or total > MOST_ENDED_BYTES):
            oldest = ended.pop(0)
            total -= oldest.journal.kept
            self.forget_process(oldest)

    def open_spill(self) -> "int":
        """Make a file for output, without a name from the start. Raises OSError."""
        if self.place is None:
            raise OSError(2, "there is no run folder")
        path = self.place.path(".out")
        try:
            os.unlink(path)  # of an agent that was killed between the two calls below
        except FileNotFoundError:
            pass
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.unlink(path)
        return fd

    def _end_orphans(self, pids: "List[int]") -> "None":
        if pids:
            self.log("ending %d processes of an agent that was killed" % len(pids))
            since = {pid: records.start_time(pid) for pid in pids}
            records.end_orphans(pids)
            self.loop.call_later(KILL_AFTER, lambda: records.kill_orphans(since))

    # leaving

    def leave_when_idle(self) -> "None":
        """Leave as soon as the last link is gone and nothing is kept."""
        self._leaving = True
        self.parking.drop()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._look_at_idle()

    def _look_at_idle(self) -> "None":
        if self.transports or self.kept():
            if self._idle_timer is not None:
                self._idle_timer.cancel()
                self._idle_timer = None
        elif self._idle_timer is None:
            # A login that never said hello leaves nothing to come back to.
            at_once = self._leaving or not self._met
            self._idle_timer = self.loop.call_later(0.0 if at_once else self._idle, self._leave)

    def _leave(self) -> "None":
        self._idle_timer = None
        if not self.transports and not self.kept():
            self.loop.stop()

    def terminate(self) -> "None":
        """End by order of the system (SIGTERM): processes are asked to end, too."""
        self.log("ended by a signal")
        for process in self.kept():
            process.hang_up()
        self.loop.stop()

    def _minute(self) -> "None":
        self.loop.call_later(MINUTE, self._minute)
        now = self.now()
        for session in list(self.sessions.values()):
            if session.transport is None and now - session.lost_at > LOST:
                session.abandon()
        for process in list(self.processes.values()):
            if process.ended_at and now - process.ended_at > STALE:
                self.forget_process(process)
        self._drop_ended()
        self._renew_files()
        self._look_at_idle()

    def _renew_files(self) -> "None":
        """Keep cleaners of /tmp away, and put back what one took."""
        if self.place is None:
            return
        try:
            os.utime(self.place.path(".lock"))
            old = self.place.listener
            joining.listen_again(self.place)
            if self.place.listener is not old:
                self._listening.stop()
                self._listening = self.loop.watch(self.place.listener.fileno(), READ, self._accept)
        except OSError as error:
            self.log("run folder: %s" % error)

    def folders(self) -> "List[str]":
        """Give the folders at this place that hold files of ours."""
        found = [self.info["cache"]] if self.info.get("cache") else []
        return found + ([self.place.folder] if self.place is not None else [])

    def close(self) -> "None":
        """Remove every trace of the run folder, and of views."""
        if self._views is not None:
            self._views.close()
        self._records.close()
        for transport in list(self.transports):
            transport.close()
        if self.place is not None:
            for suffix in (".sock", ".procs", ".log", ".lock"):  # the lock last: it guards the others
                try:
                    os.unlink(self.place.path(suffix))
                except OSError:
                    pass
            close_quietly(self.place.lock)
            try:
                os.rmdir(self.place.folder)
            except OSError:
                pass

    # log

    def log(self, text: "str") -> "None":
        """Tell a person: the first login's stderr, later the log in the run folder."""
        try:
            os.write(2, ("afield agent: %s\n" % text).encode("utf-8", "replace"))
        except OSError:
            pass

    def log_failure(self, what: "str") -> "None":
        """Tell of the exception that is being handled."""
        import traceback

        self.log("%s: %s" % (what, "".join(traceback.format_exception(*sys.exc_info()))))

    def _open_log(self) -> "None":
        fd = -1
        if self.place is not None:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
                fd = os.open(self.place.path(".log"), flags, 0o600)
                if os.fstat(fd).st_size > LARGEST_LOG:
                    os.ftruncate(fd, 0)
            except OSError:
                pass
        if fd < 0:
            fd = os.open(os.devnull, os.O_WRONLY)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)


def _seconds(name: "str", default: "float") -> "float":
    try:
        return float(os.environ[name])
    except (KeyError, ValueError):
        return default
