"""The keeper of one job: a process of its own that needs no agent, no link and no laptop  [P].

    waiting (--after, --gpu) ──► running ──waitpid──► exited │ killed      all of it told in the job's folder (jobdir)
        └── skipped, failed, stopped

It owns the pipes or the terminal, writes the journal, serves the socket, ends the job when asked, and notifies. Output that
was in the pipe when the program ended is kept; a descendant that holds the pipe longer is still listened to, but the job has ended.
How a keeper comes to be is in jobstart.py.
"""

import os
from time import time

from afield.agent import gpus, jobdir, jobnotify, ptys, spawn
from afield.agent.jobdoor import Door
from afield.agent.joblog import Writer
from afield.agent.loop import READ, Loop
from afield.agent.pumps import Inflow, Outflow, close_quietly, grow_pipe
from afield.agent.records import start_time
from afield.agent.signals import c_signal
from afield.errors import AfieldError, NoSuchProcess, ProcessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from afield.agent.views import View

LOOK_AFTER = 0.5  # seconds between two looks at the jobs that are waited for
LOOK_GPU = 10.0  # seconds between two questions to nvidia-smi: it takes up to two
GRACE = 10.0  # seconds from SIGTERM to SIGKILL: time to write a checkpoint's last bytes
ROOM = 1 << 20  # read from the program at once
SMALL, OFTEN, PAUSE = (
    12288,
    0.001,
    0.001,
)  # bytes (stdio writes 4 or 8 KiB); seconds between two reads; seconds until the next
STDIN_MOST = 262144  # typed and not read by the program; more is dropped, as a terminal does (termios(3), MAX_INPUT)
TERM, KILL, CONT, WINCH = (int(getattr(c_signal, "SIG" + name)) for name in ("TERM", "KILL", "CONT", "WINCH"))


class JobKeeper:
    """``run`` serves until all is over. ``report(value)`` tells the starter once: the state, or ``{"error"}``."""

    def __init__(
        self,
        base: "str",
        folder: "str",
        state: "Dict[str, Any]",
        wish: "Dict[str, Any]",
        report: "Callable[[Any], Any]",
        view: "Optional[View]" = None,
    ) -> "None":
        self.base = base
        self.folder = folder
        self.state = state
        self.loop = Loop()
        self._wish = wish
        self._report = report
        self._waited = False
        self._left = list(wish["after"])
        self._journal = Writer(folder, state["limit"])
        self._claim: "Optional[gpus.Claim]" = None
        self._request = spawn.Request(wish["request"])
        self._view = self._request.view = view
        self._pid = 0
        self._master = -1
        self._flows: "List[Inflow]" = []
        self._stdin: "Optional[Outflow]" = None
        self._told = -1
        self._told_watch: "Any" = None
        self._notifiers = 0
        self._timer: "Any" = None

    # the whole

    def run(self) -> "None":
        """Serve until the end; the folder is gone afterwards if the job never came to be."""
        self.loop.report = self._log_failure
        self.loop.handle_signal(int(c_signal.SIGCHLD), self.loop.reap)
        for name in ("HUP", "INT", "QUIT", "PIPE", "TSTP"):
            self.loop.handle_signal(int(getattr(c_signal, "SIG" + name)), None)
        # A machine that goes down says TERM to everybody: the job gets it, and what becomes of it is still written down.
        self.loop.handle_signal(TERM, lambda: self.stop(TERM, GRACE))
        self.door = Door(self.loop, self.folder, self._heard)
        self.loop.sources.append(self)
        self._save()
        if self._view is not None:
            self._view.held = None  # the agent's
            self._view.hold(self.base)
        self._wait()
        self.loop.run()
        if self._view is not None:
            os.write(2, self._view.leave().encode("utf-8", "replace"))
        self._journal.close()
        self.door.close()
        if self.state["lingers"]:
            self.state["lingers"] = False
            self._save()

    def flush(self) -> "None":
        """Tell the clients what came."""
        self._journal.tell()
        self.door.grown(self._journal.position)

    def next_deadline(self) -> "None":
        """Want nothing at any time."""

    def deadline_passed(self, now: "float") -> "None":
        """Never called."""

    def failed(self) -> "None":
        """Go on: a fault with one client must not end the job."""

    def _save(self) -> "None":
        self._journal.tell()
        self.state["lost"], self.state["dropped"] = self._journal.lost, self._journal.dropped
        try:
            jobdir.write_state(self.folder, self.state)
        except OSError as error:
            os.write(2, ("state: %s\n" % error).encode())

    def _log_failure(self, what: "str") -> "None":
        import sys
        import traceback

        text = "%s: %s" % (what, "".join(traceback.format_exception(*sys.exc_info())))
        os.write(2, text.encode("utf-8", "replace"))

    # before the start

    def _wait(self) -> "None":
        """Look whether the job may start, and when to look again."""
        self._timer = None
        if self.state["state"] not in ("starting", "waiting"):
            return
        verdict = self._after()
        if verdict == "":
            verdict = self._take_gpus()
        if verdict == "":
            self._spawn()
        elif verdict is not None:
            self._waits(verdict)

    def _waits(self, why: "str") -> "None":
        first = not self._waited
        if first or self.state["why"] != why:
            self.state.update(state="waiting", why=why)
            self._save()
        if first:
            self._waited = True
            self._report(self.state)
        self._timer = self.loop.call_later(LOOK_GPU if why.startswith("GPU") else LOOK_AFTER, self._wait)

    def _after(self) -> "Optional[str]":
        """Give "" to go on, why it waits, or None when it was given up."""
        why = ""
        for job in list(self._left):
            try:
                other = jobdir.load(self.base, job)
            except NoSuchProcess:
                self._never("skipped", "job %s, which it was to follow, was removed" % job)
                return None
            if other["state"] in jobdir.LIVE:
                why = why or "after job %s" % other["name"]
                continue
            if not self._wish["after_any"] and other.get("exit") != {"exit": 0}:
                self._never("skipped", "job %s, which it was to follow, did not succeed" % other["name"])
                return None
            self._left.remove(job)  # it counts from now on, also when it is removed
        return why

    def _take_gpus(self) -> "Optional[str]":
        count = self._wish["gpus"]
        if not count:
            return ""
        claim, why, hope = gpus.pick(self.base, count)
        if claim is None:
            # Of one that waits already an nvidia-smi that fails for once is no reason to give up.
            if self._wish["gpu_wait"] and (hope or self._waited):
                return "GPUs: " + why
            hint = "wait for idle ones with --gpu-wait; `afield top` shows who uses them"
            self._failed_to_start(ProcessError(why, hint=hint if hope else "`afield facts` shows what is there"))
            return None
        self._claim = claim
        named = ",".join(str(index) for index in sorted(claim.indexes))
        # The order of nvidia-smi is not CUDA's own.
        self._request.env[b"CUDA_DEVICE_ORDER"] = b"PCI_BUS_ID"
        self._request.env[b"CUDA_VISIBLE_DEVICES"] = named.encode()
        self.state["gpus"] = sorted(claim.indexes)
        return ""

    def _never(self, state: "str", why: "str") -> "None":
        """End a job that never ran."""
        self.state.update(state=state, why=why, ended=time())
        self._save()
        if not self._waited:
            self._waited = True
            self._report(self.state)
        self._over()

    def _failed_to_start(self, error: "AfieldError") -> "None":
        if self._waited:
            self._never("failed", error.text)
        else:
            # Who asked is still there to be told: nothing is left.
            jobdir.remove(self.base, self.state["id"])
            self._report({"error": error.to_value()})
            self.loop.stop()

    # start

    def _spawn(self) -> "None":
        try:
            if self._request.tty is not None:
                outputs = self._spawn_in_terminal(self._request.tty)
            else:
                outputs = self._spawn_with_pipes()
        except AfieldError as error:
            self._failed_to_start(error)
            return
        self.loop.child(self._pid, self._exited)
        self._outputs = outputs
        if self._told < 0:
            self._runs()
        else:
            self._told_watch = self.loop.watch(self._told, READ, self._hear)

    def _spawn_in_terminal(self, tty: "Dict[str, Any]") -> "List[int]":
        self._master, slave = ptys.open_terminal(tty)
        try:
            self._pid, self._told = spawn.fork_exec(self._request, (slave, slave, slave), controlling=True)
        finally:
            os.close(slave)
        self._stdin = Outflow(self.loop, os.dup(self._master), lambda _count: None)
        return [os.dup(self._master)]

    def _spawn_with_pipes(self) -> "List[int]":
        # A job reads nothing: who could answer may be asleep.
        null = os.open(os.devnull, os.O_RDONLY)
        pipes = [os.pipe() for _ in range(2)]
        ours = [pipe[0] for pipe in pipes]
        for fd in ours:
            grow_pipe(fd)
        try:
            self._pid, self._told = spawn.fork_exec(self._request, (null, pipes[0][1], pipes[1][1]), controlling=False)
        except BaseException:
            close_quietly(*ours)
            raise
        finally:
            close_quietly(null, pipes[0][1], pipes[1][1])
        return ours

    def _hear(self) -> "None":
        try:
            report = os.read(self._told, 256)
        except BlockingIOError:
            return
        self._told_watch.stop()
        close_quietly(self._told)
        self._told = -1
        if report:
            self.loop.forget_child(self._pid)
            close_quietly(*self._outputs)
            self._failed_to_start(spawn.error_for(report, self._request))
        else:
            self._runs()

    def _runs(self) -> "None":
        self.state.update(state="running", why="", started=time(), process=jobdir.mark_of(self._pid))
        self._save()
        if not self._waited:
            self._waited = True
            self._report(self.state)
        for number, fd in enumerate(self._outputs):
            self._flows.append(self._flow(number, fd))

    def _flow(self, number: "int", fd: "int") -> "Inflow":
        last = [0.0]

        def read(data: "bytes") -> "None":
            now = time()
            self._journal.write(number, data, now)
            # A program that writes much in small pieces: its pipe fills while we look away, instead of each piece waking us.
            if len(data) < SMALL and 0 <= now - last[0] < OFTEN and self._master < 0:
                flow.pause()
                self.loop.call_later(PAUSE, flow.resume)
            last[0] = now

        flow = Inflow(self.loop, fd, lambda: ROOM, read, lambda _errno: self._look_over())
        return flow

    # clients

    def _heard(self, peer: "Any", value: "Dict[str, Any]") -> "None":
        if isinstance(value.get("tell"), int):
            peer.tell = value["tell"]
            if self.state["state"] not in jobdir.LIVE:
                peer.say({"ended": True})
        if isinstance(value.get("input"), bytes) and self._stdin is not None and not self._stdin.closed:
            if self._stdin.queued < STDIN_MOST:
                self._stdin.write(value["input"])
        if isinstance(value.get("resize"), list) and self._master >= 0 and len(value["resize"]) == 2:
            ptys.resize(self._master, value["resize"][0], value["resize"][1])
            # A program that draws the whole screen draws it anew for who just came, also when the size is the same.
            self._signal(WINCH)
        if isinstance(value.get("stop"), dict):
            order = value["stop"]
            self.stop(order.get("signal", TERM), order.get("grace", GRACE))

    def stop(self, number: "Any", grace: "Any") -> "None":
        """Signal the job's group, and kill it when it lives after grace seconds; a job that waits is given up."""
        if self.state["state"] in ("starting", "waiting") and not self._pid:
            self._never("stopped", "stopped before it started")
            return
        if not isinstance(number, int) or not 0 < number < c_signal.NSIG:
            return
        self._signal(number)
        self._signal(CONT)
        if number == KILL:
            return
        # Of several that stop it the least patient counts; who comes after the end reaches nobody.
        self.loop.call_later(float(grace), lambda: self._signal(KILL))

    def _signal(self, number: "int") -> "None":
        mark = self.state["process"] or [0, ""]
        # After the leader's end its number names the group as long as somebody is in it, and then maybe somebody else.
        lingers = self.state["lingers"] and start_time(self._pid) in (None, mark[1])
        if self._pid and (self.state["state"] in jobdir.LIVE or lingers):
            for group in ptys.groups(self._master, self._pid, number):
                try:
                    os.killpg(group, number)
                except OSError:
                    pass

    # the end

    def _exited(self, status: "int") -> "None":
        if self._told >= 0:
            self._hear()
        if self.state["state"] != "running":
            return
        for flow in self._flows:
            left = 0 if flow.closed else ptys.unread(flow.fd)
            while left > 0 and not flow.closed:
                before = self._journal.position + self._journal.lost
                if not flow.ready():
                    break
                left -= max(1, self._journal.position + self._journal.lost - before)
            if not flow.closed:
                flow.ready()  # its end, unless others still hold it
        if os.WIFSIGNALED(status):
            self.state.update(state="killed", exit={"killed": os.WTERMSIG(status)})
        else:
            self.state.update(state="exited", exit={"exit": os.WEXITSTATUS(status)})
        self.state["ended"] = time()
        self.state["lingers"] = any(not flow.closed for flow in self._flows)
        self._save()
        if self._claim is not None:
            self._claim.release()
        self._over()

    def _over(self) -> "None":
        """The job has ended: tell everybody."""
        self.flush()
        self.door.say_all({"ended": True})
        told = jobnotify.message(self.state)
        url, command = self._wish.get("url"), self._wish.get("command")
        if url:
            self._notify(lambda: jobnotify.post(url, told))
        if command:
            self._notify(lambda: jobnotify.run_command(command, told))
        self._look_over()

    def _notify(self, work: "Callable[[], Any]") -> "None":
        def ended(status: "int") -> "None":
            self._notifiers -= 1
            if status:
                os.write(2, b"notify: it failed (wait status %d)\n" % status)
            self._look_over()

        try:
            self.loop.child(jobnotify.in_child(work), ended)
            self._notifiers += 1
        except OSError as error:
            os.write(2, ("notify: %s\n" % error).encode())

    def _look_over(self) -> "None":
        """Leave when the job has ended, nobody writes any more and everybody was told."""
        if self.state["state"] in jobdir.LIVE or self._notifiers:
            return
        if all(flow.closed for flow in self._flows):
            if self._timer is not None:
                self._timer.cancel()
            self.loop.stop()
