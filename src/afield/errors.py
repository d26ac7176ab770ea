"""Every error that afield raises on purpose, in one tree  [P].

::

    AfieldError
    ├── OurFault                     a bug or a broken peer: worth a report
    │   ├── ProtocolError            bytes that the protocol does not allow
    │   └── InternalError            a state that must not happen
    └── TheirFault                   the input, the place or the network: the hint says what to do
        ├── UsageError               the command line is wrong
        ├── ConfigError              afield.toml or an argument's value is wrong
        │   └── NoProject            no afield.toml here or above
        ├── PlaceError               the place cannot carry an agent
        │   ├── NoPython  PythonTooOld  PlaceFull  PlaceReadOnly  BadShell  AgentBroken
        ├── LinkError                the way to the place
        │   ├── UnknownHost  Unreachable  HostKeyChanged  HostKeyUnknown  PermissionDenied
        │   ├── LinkLost  LinkTimeout  SessionGone  BadTransport
        ├── ProcessError             a program there
        │   ├── CommandNotFound  CommandNotExecutable  NoSuchFolder  NoSuchProcess  SpawnFailed
        │   ├── NoView  NoSuchView
        ├── EnvError                 an environment there
        │   ├── NoSuchEnv  EnvBroken  EnvClash  EnvFailed  NoWheel
        ├── FilesError               one folder or file
        │   ├── BadPath  RootMissing  RootNotFolder  RootRefused  NoSuchFile  NotAllowed  ReadOnly  DiskFull
        │   ├── NameTooLong  FileChanged  WrongKind  WrongIdentity  RootReplaced  FileFailed
        ├── SyncError
        │   ├── NeedsConfirmation  GuardRefused  NotUp  GitRefused
        ├── PortError                a port is taken or refused
        └── DaemonError  Cancelled   the local daemon cannot be reached; somebody gave up

Rules: ``code`` is stable and crosses the wire; ``exit`` is the process status that the command line ends with;
a message says what was expected and what came, ``hint`` what to do. No I/O here.
"""

# ruff: noqa: PLC0414  the form that says: given on

from afield.errorbase import AfieldError as AfieldError
from afield.errorbase import InternalError as InternalError
from afield.errorbase import OurFault as OurFault
from afield.errorbase import ProtocolError as ProtocolError
from afield.errorbase import TheirFault as TheirFault
from afield.errorbase import from_value as from_value


class UsageError(TheirFault):
    """The command line is wrong."""

    code = "usage"
    exit = 2


class ConfigError(TheirFault):
    """A setting is wrong."""

    code = "config"
    exit = 2


class NoProject(ConfigError):
    """There is no afield.toml in this folder or above."""

    code = "no-project"


class PlaceError(TheirFault):
    """The place cannot carry an agent."""

    code = "place"
    exit = 255


class NoPython(PlaceError):
    """No usable Python there."""

    code = "no-python"


class PythonTooOld(PlaceError):
    """The Python there is older than 3.6."""

    code = "python-too-old"


class PlaceFull(PlaceError):
    """The disk or the quota there is used up."""

    code = "place-full"


class PlaceReadOnly(PlaceError):
    """Nothing can be written there."""

    code = "place-read-only"


class BadShell(PlaceError):
    """The login shell there ends, asks or changes bytes instead of running the command."""

    code = "bad-shell"


class AgentBroken(PlaceError):
    """The agent there did not start or died."""

    code = "agent-broken"


class LinkError(TheirFault):
    """The way to the place."""

    code = "link"
    exit = 255


class UnknownHost(LinkError):
    """The name of the host means nothing here."""

    code = "unknown-host"


class Unreachable(LinkError):
    """The host does not answer."""

    code = "unreachable"


class HostKeyChanged(LinkError):
    """The host shows another key than the one that is known."""

    code = "host-key-changed"


class HostKeyUnknown(LinkError):
    """The host's key is not known yet and could not be asked about."""

    code = "host-key-unknown"


class PermissionDenied(LinkError):
    """The login was refused."""

    code = "permission-denied"


class LinkLost(LinkError):
    """The link broke and could not be taken up again."""

    code = "link-lost"


class LinkTimeout(LinkError):
    """No answer in time."""

    code = "link-timeout"


class SessionGone(LinkError):
    """The agent does not know the session any more: what ran in it is over."""

    code = "session-gone"


class BadTransport(LinkError):
    """The command that opens the stream cannot be started."""

    code = "bad-transport"


class ProcessError(TheirFault):
    """A program there."""

    code = "process"


class CommandNotFound(ProcessError):
    """No such program there."""

    code = "command-not-found"
    exit = 127


class CommandNotExecutable(ProcessError):
    """The program cannot be executed there."""

    code = "command-not-executable"
    exit = 126


class NoSuchFolder(ProcessError):
    """The working folder does not exist there."""

    code = "no-such-folder"


class NoSuchProcess(ProcessError):
    """The process is unknown: it ended and was taken note of, or the agent was restarted."""

    code = "no-such-process"


class SpawnFailed(ProcessError):
    """The system there could not start the program."""

    code = "spawn-failed"


class NoView(ProcessError):
    """The place allows no view in which the project stands at the local path."""

    code = "no-view"


class NoSuchView(ProcessError):
    """A view there is gone: the agent was started anew, or what it showed was replaced."""

    code = "no-such-view"


class EnvError(TheirFault):
    """An environment there."""

    code = "env"


class NoSuchEnv(EnvError):
    """No environment there has this name or path."""

    code = "no-such-env"


class EnvBroken(EnvError):
    """The environment there cannot be used: its interpreter is missing or another one."""

    code = "env-broken"


class EnvClash(EnvError):
    """Several environments have this name, or one of this name is there already."""

    code = "env-clash"


class EnvFailed(EnvError):
    """A tool could not make, fill or remove the environment."""

    code = "env-failed"


class NoWheel(EnvError):
    """A package has no wheel that fits the Python and the system there."""

    code = "no-wheel"


class FilesError(TheirFault):
    """A folder or a file."""

    code = "files"


class BadPath(FilesError):
    """A path that leaves its root or cannot be a path."""

    code = "bad-path"


class RootMissing(FilesError):
    """The root folder does not exist."""

    code = "root-missing"


class RootNotFolder(FilesError):
    """The root is not a folder."""

    code = "root-not-folder"


class RootRefused(FilesError):
    """The root is one that must not be synced: ``/`` or the home folder."""

    code = "root-refused"


class NoSuchFile(FilesError):
    """The file does not exist."""

    code = "no-such-file"


class NotAllowed(FilesError):
    """The system refused the access."""

    code = "not-allowed"


class ReadOnly(FilesError):
    """The file system is read-only."""

    code = "read-only"


class DiskFull(FilesError):
    """The disk or the quota is used up."""

    code = "disk-full"


class NameTooLong(FilesError):
    """The file system does not take a name of this length or form."""

    code = "name-too-long"


class FileChanged(FilesError):
    """The file changed while it was read or before it was replaced."""

    code = "file-changed"


class WrongKind(FilesError):
    """A folder stands where a file was expected, or the like."""

    code = "wrong-kind"


class WrongIdentity(FilesError):
    """The folder there belongs to another project."""

    code = "wrong-identity"


class RootReplaced(FilesError):
    """The root is not the folder that was synced before: moved, replaced, or its disk is not mounted."""

    code = "root-replaced"
    exit = 3


class TooManyFiles(FilesError):
    """A folder announces more than can be synced, or an answer does not end."""

    code = "too-many-files"


class FileFailed(FilesError):
    """Any other failure of the file system."""

    code = "file-failed"


class SyncError(TheirFault):
    """The sync as a whole."""

    code = "sync"


class NeedsConfirmation(SyncError):
    """The plan is large: a person has to agree first."""

    code = "needs-confirmation"
    exit = 3


class GuardRefused(SyncError):
    """The plan looks like an accident: nothing was done."""

    code = "guard-refused"
    exit = 3


class NotUp(SyncError):
    """The project is not up."""

    code = "not-up"


class GitRefused(SyncError):
    """The repository is in use, missing or of a kind that is not carried; git or its place said no."""

    code = "git-refused"


class PortError(TheirFault):
    """A port is taken or refused."""

    code = "port"


class DaemonError(TheirFault):
    """The local daemon cannot be reached."""

    code = "daemon"


class Cancelled(TheirFault):
    """The user or the peer gave up."""

    code = "cancelled"
    exit = 130
