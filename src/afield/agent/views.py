"""The views that an agent holds: made by need, entered by the programs that run in them, widened while they live  [P].

A view is three descriptors (namespaces), no process: it ends with the agent or when it is let go; one without namespaces is an environment
that stands on the disk (``ondisk``). Making, widening and probing run in
forked children, for they change the namespaces of whoever does it; a child hands its descriptors over a socket (SCM_RIGHTS, unix(7)).
Rules: the name of a view follows from what it shows, so asking twice gives one; one whose folders or interpreter were replaced at the
place is made anew. What must not go in: what a view looks like (twin, standin, ground).
"""

import _socket
import os

from afield.agent import jobdir, namespaces
from afield.agent.helpers import in_child, leave_agent
from afield.agent.loop import READ
from afield.agent.mountpoints import Held, folder_beside
from afield.agent.naming import sha256
from afield.agent.pumps import close_quietly
from afield.agent.signals import c_signal
from afield.agent.viewwork import make, mark_of, reason_of, widen
from afield.errors import AfieldError, NoSuchView, NoView, ProtocolError
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from afield.agent.keeper import Keeper

# An interpreter on a cold network disk; a warm one is looked at in 20 ms.
LIMIT = 30.0
# One user works on a handful of projects; each view costs three descriptors and some KB in the kernel.
MOST = 32
LARGEST = 1 << 20
DESCRIPTORS = 8


class View:
    """One view. ``told`` is the answer to who asked for it; ``marks`` change when what it shows is replaced."""

    def __init__(self, told: "Dict[str, Any]", kept: "Dict[str, Any]", fds: "List[int]") -> "None":
        self.told = told
        self.folders: "List[Any]" = kept["folders"]
        self.marks: "List[Any]" = kept["marks"]
        self.program: "Optional[List[Any]]" = kept["program"]
        self.made: "List[Any]" = kept["made"]
        self.commands: "Optional[List[bytes]]" = kept["commands"]
        self.known: "Dict[bytes, Any]" = dict(kept["known"])
        self.on_disk: "bool" = kept["disk"]
        self.gitless: "Optional[bytes]" = kept["gitless"]
        self.held: "Optional[Held]" = None
        self.bin_folder = fds.pop() if self.commands else -1
        self.namespaces = fds
        # What is shown besides, with the mark of each: a folder that was made anew has to be shown anew.
        self.bound: "Dict[Any, Any]" = {}
        self.running = 0
        self.seen = self.bin_mark()

    def bin_mark(self) -> "int":
        """A number that changes when a command is added or removed in the view; 0 without commands."""
        return os.fstat(self.bin_folder).st_mtime_ns if self.bin_folder >= 0 else 0

    @property
    def descriptors(self) -> "List[int]":
        """What a process must keep open to start programs in it."""
        return self.namespaces + [fd for fd in (self.bin_folder,) if fd >= 0]

    def is_whole(self) -> "bool":
        """Say whether it still shows what it showed."""
        gone = self.program is not None and mark_of(self.program[0]) != self.program[1]
        gone = gone or (self.on_disk and not os.path.exists(self.told["python"]))
        return not gone and [mark_of(folder) for folder, _ in self.folders] == self.marks[: len(self.folders)]

    def hold(self, jobs: "str") -> "None":
        """Count this process in as a user of the mount points; ``jobs``: the folder of the jobs."""
        if self.held is None:
            self.held = Held(folder_beside(jobs), self.folders[0][1])
        if self.held.hold(self.made):
            self.made = []

    def enter(self) -> "None":
        """Become a process of this view; for a forked child only. Raises OSError; ESTALE: what it shows was replaced."""
        if not self.is_whole():
            raise OSError(116, "")  # ESTALE
        if self.gitless is not None and os.path.isdir(self.gitless + b"/.git"):
            from afield.agent.standin import keep_out_of_git

            keep_out_of_git(self.gitless)
        kinds = (namespaces.NEW_MOUNTS,)
        if len(self.namespaces) == 3:
            kinds = (namespaces.NEW_USER, namespaces.NEW_MOUNTS, namespaces.NEW_USER)  # type: ignore[assignment]
        for fd, kind in zip(self.namespaces, kinds):
            namespaces.enter(fd, kind)

    @property
    def has_news(self) -> "bool":
        """Whether commands were added or removed in it that the environment does not know of."""
        return self.bin_folder >= 0 and self.bin_mark() != self.seen

    def gather(self) -> "Dict[bytes, Any]":
        """Bring them to the environment, and give what is known then; slow, for a child. Raises OSError."""
        from afield.agent.scripts import Commands

        assert self.commands is not None
        commands = Commands(self.commands[0], self.commands[1])
        if self.on_disk:
            from afield.agent import ondisk

            ondisk.carry(commands, self.bin_folder)
        else:
            commands.known = dict(self.known)
            commands.carry(self.bin_folder)
        return commands.known

    def leave(self) -> "str":
        """Let it go as who outlives the agent, with what was installed in it brought to the environment; gives what went wrong, a line."""
        try:
            if self.has_news:
                self.gather()
            return ""
        except (OSError, AfieldError) as error:
            return "commands: %s\n" % error
        finally:
            self.close()

    def close(self) -> "None":
        """Let it go; programs in it keep it alive for themselves."""
        close_quietly(*self.namespaces)
        if self.bin_folder >= 0:
            close_quietly(self.bin_folder)
        self.namespaces, self.bin_folder = [], -1
        if self.held is not None:
            self.held.release()


class Views:
    """All views of one agent."""

    def __init__(self, keeper: "Keeper") -> "None":
        self._keeper = keeper
        self._views: "Dict[bytes, View]" = {}
        self._making: "Dict[bytes, Maker]" = {}
        self._gathering = False

    def get(self, name: "bytes") -> "View":
        """Give a view by its name. Raises NoSuchView."""
        view = self._views.get(name)
        if view is None:
            raise NoSuchView("no view of this name is kept there", hint="ask for it again")
        return view

    def open(self, args: "Dict[str, Any]", done: "Callable[[Any, Optional[AfieldError]], Any]") -> "None":
        """Make or find what the call ``view`` describes; ``done(told, None)`` or ``done(None, error)``. Raises ProtocolError."""
        wanted = check_wanted(args)
        name = name_of(wanted)
        maker = self._making.get(name)
        if maker is None:
            known = self._views.get(name)
            marks = known.marks if known is not None else None

            def made(told: "Any", fds: "List[int]", failure: "Optional[AfieldError]") -> "None":
                self._made(name, told, fds, failure)

            try:
                namespaces.load()
                maker = self._making[name] = Maker(self._keeper, lambda: make(wanted, marks), made)
            except OSError as error:
                done(None, NoView("no view can be made there: %s" % (error.args[-1],)))
                return
        maker.waiting.append(done)

    def _made(self, name: "bytes", told: "Any", fds: "List[int]", failure: "Optional[AfieldError]") -> "None":
        maker = self._making.pop(name)
        answer = None
        if failure is None and told.get("missing") is not None:
            failure = NoView("%s is not there" % os.fsdecode(told["missing"]), missing=True)
        elif failure is None and told.get("refused") is not None:
            failure = NoView("no view can be made there: %s" % told["refused"])
            self._take_back(told["shown"], told["made"])
        if failure is None:
            if told.get("same"):
                view = self._views[name] = self._views.pop(name)  # the youngest
            else:
                old = self._views.pop(name, None)
                told["told"]["view"] = name
                view = self._views[name] = View(told["told"], told["kept"], fds)
                view.hold(jobdir.root(self._keeper.info))
                if old is not None:
                    old.close()
            answer = view.told
            self._shed()
        for done in maker.waiting:
            done(answer, failure)

    def _take_back(self, shown: "bytes", made: "List[Any]") -> "None":
        """Remove the mount points of a view that was not made; another one that is being made may stand on them."""
        if made and not self._making:
            held = Held(folder_beside(jobdir.root(self._keeper.info)), shown)
            held.hold(made)
            held.release()

    def _shed(self) -> "None":
        idle = [name for name, view in self._views.items() if not view.running]
        while len(self._views) > MOST and idle:
            self._views.pop(idle.pop(0)).close()

    def bind(self, name: "bytes", pairs: "List[Any]", done: "Callable[[Any, Optional[AfieldError]], Any]") -> "None":
        """Show more files and folders in a living view. Raises NoSuchView, ProtocolError."""
        view = self.get(name)
        if view.on_disk:
            raise NoView("nothing can be shown there without a view of its own")
        marks = {pair: mark_of(pair[0]) for pair in check_pairs(pairs)}
        pairs = [pair for pair, mark in marks.items() if view.bound.get(pair) != mark]
        if not pairs:
            done({"bound": 0}, None)
            return

        def bound(value: "Any", failure: "str") -> "None":
            why = failure or value["refused"] or ("" if view.namespaces else "the view was closed meanwhile")
            if why:
                self._take_back(view.folders[0][1], [] if failure else value["made"])
                done(None, NoView("this cannot be shown there: %s" % why))
                return
            view.bound.update({pair: marks[pair] for pair in pairs})
            view.made += [tuple(made) for made in value["made"]]
            view.hold(jobdir.root(self._keeper.info))
            done({"bound": len(pairs)}, None)

        in_child(self._keeper, lambda: widen(view, pairs), bound, LIMIT, keep=view.namespaces)

    def started(self, view: "View") -> "None":
        """Count a program in."""
        view.running += 1

    def ended(self, view: "View") -> "None":
        """Count it out; bring the commands that it installed to the environment."""
        view.running -= 1
        if view.has_news and not self._gathering:
            self._gather(view)

    def _gather(self, view: "View") -> "None":
        seen, folder = view.bin_mark(), view.bin_folder
        self._gathering = True

        def work() -> "Any":
            return [[name, mark] for name, mark in view.gather().items()]

        def done(value: "Any", failure: "str") -> "None":
            self._gathering = False
            if failure:
                self._keeper.log("commands of %r: %s" % (view.commands, failure))
                return
            view.known = dict(value)
            view.seen = seen

        in_child(self._keeper, work, done, LIMIT, keep=(folder,))

    def close(self) -> "None":
        """Let all go."""
        for maker in list(self._making.values()):
            maker.cancel()
        for view in self._views.values():
            view.close()
        self._views.clear()


class Maker:
    """A child that makes one view and hands over its descriptors."""

    def __init__(
        self,
        keeper: "Keeper",
        work: "Callable[[], Tuple[Any, List[int]]]",
        done: "Callable[[Any, List[int], Optional[AfieldError]], Any]",
    ) -> "None":
        self.waiting: "List[Any]" = []
        self._done = done
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._socket = ours
        self._pid = os.fork()
        if self._pid == 0:
            _make_and_tell(work, theirs)
        theirs.close()
        self._socket.setblocking(False)
        self._watch = keeper.loop.watch(ours.fileno(), READ, self._readable)
        self._timer = keeper.loop.call_later(LIMIT, lambda: self._end(None, [], "no answer within %.0f s" % LIMIT))
        keeper.loop.child(self._pid, self._exited)

    def _exited(self, status: "int") -> "None":  # noqa: ARG002 an end is an end
        self._pid = 0

    def _readable(self) -> "None":
        try:
            data, extra, _, _ = self._socket.recvmsg(LARGEST, _socket.CMSG_SPACE(4 * DESCRIPTORS), _CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(None, [], str(error))
            return
        fds = [
            int.from_bytes(content[at : at + 4], _BYTE_ORDER)
            for level, kind, content in extra
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
            for at in range(0, len(content), 4)
        ]
        try:
            ok, value = decode(data)
        except Exception:
            ok, value = False, "the process that made it died"
        self._end(value if ok else None, fds, "" if ok else value)

    def _end(self, value: "Any", fds: "List[int]", failure: "str") -> "None":
        self.cancel()
        if failure:
            close_quietly(*fds)
            fds = []
        self._done(value, fds, NoView("no view can be made there: %s" % failure) if failure else None)

    def cancel(self) -> "None":
        """Kill the child; nobody is told."""
        self._timer.cancel()
        self._watch.stop()
        self._socket.close()
        if self._pid:
            os.kill(self._pid, int(c_signal.SIGKILL))


_CLOEXEC = getattr(_socket, "MSG_CMSG_CLOEXEC", 0x40000000)
_BYTE_ORDER = __import__("sys").byteorder


def _make_and_tell(work: "Callable[[], Tuple[Any, List[int]]]", sock: "Any") -> "None":
    """Run in the child; never returns."""
    try:
        leave_agent((sock.fileno(),))
        fds: "List[int]" = []
        try:
            value, fds = work()
            answer = encode([True, value])
        except Exception as error:
            answer = encode([False, reason_of(error)])
        rights = b"".join(fd.to_bytes(4, _BYTE_ORDER) for fd in fds)
        sock.sendmsg([answer], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else [])
    finally:
        os._exit(0)


# ---- what crosses the wire, checked


def check_pairs(value: "Any") -> "List[Tuple[bytes, bytes]]":
    """Give (there, shown) pairs, ``~`` written out. Raises ProtocolError."""
    from afield.agent.spawn import expand

    pairs = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(item, bytes) for item in pair):
            raise ProtocolError("expected a pair of paths, got %.100r" % (pair,))
        if b"\0" in pair[0] + pair[1]:
            raise ProtocolError("expected paths without NUL, got %.100r" % (pair,))
        pairs.append((os.path.normpath(expand(pair[0])), pair[1]))
    return pairs


def check_wanted(args: "Dict[str, Any]") -> "Dict[str, Any]":
    """Give the call's arguments in their working form. Raises ProtocolError."""
    folders = check_pairs(args["folders"])
    if not folders:
        raise ProtocolError("expected the project's folder, got none")
    if args["disk"] and args["env"] is None:
        raise ProtocolError("expected the environment that is to stand on the disk, got none")
    return {
        "folders": folders,
        "env": args["env"],
        "binds": check_pairs(args["binds"]),
        "make": args["make"],
        "disk": args["disk"],
    }


def name_of(wanted: "Dict[str, Any]") -> "bytes":
    """Name what was asked for: 16 bytes."""
    pairs = [[list(pair) for pair in wanted[key]] for key in ("folders", "binds")]
    return sha256(encode([pairs, wanted["env"], wanted["disk"]]))[:16]
