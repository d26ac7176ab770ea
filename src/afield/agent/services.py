"""Which service a stream's ``do`` asks for  [P].

A table of names; a service's module is imported on first use, because a run of ``true`` needs no ports and no facts.
"""

from afield.agent.session import NOTHING
from afield.errors import NoSuchProcess, ProtocolError
from afield.wire.messages import read_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from afield.agent.keeper import Keeper
    from afield.agent.session import Channel, Service


def open_service(keeper: "Keeper", channel: "Channel", header: "Any") -> "None":
    """Start what the header asks for and make it the stream's service. Raises AfieldError."""
    fields = read_header(header)
    start = TABLE.get(fields["do"])
    if start is None:
        raise ProtocolError("expected one of %s, got %.80r" % (", ".join(sorted(TABLE)), fields["do"]))
    service = start(keeper, channel, fields)
    if channel.open and channel.service is NOTHING:  # else it chose another one already
        channel.service = service


def _process(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    from afield.agent.processes import Process
    from afield.agent.spawn import Request

    request = Request(header)
    if header["view"] is not None:
        request.view = keeper.views().get(header["view"])
    if request.id in keeper.processes:
        raise ProtocolError("a process of this id is there already", hint="attach to it, or choose another id")
    process = Process(keeper, request)
    process.start(channel)
    keeper.processes[process.id] = process
    if header["ports"]:
        _watch_ports(keeper, process)
    return process


def _watch_ports(keeper: "Keeper", process: "Any") -> "None":
    # Not before the run had time to end: most do, and the module would be loaded for nothing.
    def begin() -> "None":
        if process.state not in ("starting", "running"):
            return
        from afield.agent.treeports import Poller

        if keeper.poller is None:
            keeper.poller = Poller(keeper)
        keeper.poller.add(process)

    keeper.loop.call_later(0.1, begin)


def _attach(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    process = keeper.processes.get(header["id"])
    if process is None:
        raise NoSuchProcess(
            "no process of this id is kept there",
            hint="it ended long ago, or the agent there was killed or the host rebooted",
        )
    process.attach(channel, header["out"], header["err"])
    return process


def _files(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    from afield.agent.filesvc import FilesService

    return FilesService(keeper, channel, header)


def _mirror(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    from afield.agent.mirror import MirrorService

    return MirrorService(keeper, channel, header)


def _connect(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    from afield.agent.ports import Connect

    return Connect(keeper, channel, header)


def _listen(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    from afield.agent.ports import Listen

    return Listen(keeper, channel, header)


def _call(keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "Service":
    from afield.agent.calls import Call

    return Call(keeper, channel, header)


TABLE: "Dict[str, Callable[[Keeper, Channel, Dict[str, Any]], Service]]" = {
    "process": _process,
    "attach": _attach,
    "files": _files,
    "mirror": _mirror,
    "connect": _connect,
    "listen": _listen,
    "call": _call,
}
