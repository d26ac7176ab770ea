"""The process that does the work of a mirror: ``main([program, JOB])``; stdin and stdout lead to the place.

A process of its own, because thirty thousand files would hold the daemon's loop up for seconds. On stderr: one JSON object a line, ``progress``,
then ``done`` or ``error``. JOB is JSON: ``do`` is sync, get, status or remove. It holds a lock, so that one at a time works on a project.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, InternalError, NoSuchFile
from afield.files.faults import from_os_error
from afield.mirror import copies, paths
from afield.mirror.far import Far
from afield.mirror.fetch import LEAST_LEVEL, read_files
from afield.mirror.store import Store, default_folder, time_of
from afield.mirror.tree import Tree, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A bar that moves more often is not seen to.
_EVERY = 0.1


def main(argv: list[str]) -> int:
    """Do one job; gives the exit status."""
    gc.set_threshold(200_000, 50, 100)  # values are plain and hold no cycles
    try:
        done = do(json.loads(argv[1]), Far(0, 1), progress_to(sys.stderr))
    except AfieldError as error:
        _say({"error": {**error.to_value(), "details": {}}})
        return 1
    except OSError as error:
        _say({"error": {**from_os_error(error, os.fsencode(error.filename or "?")).to_value(), "details": {}}})
        return 1
    except Exception as error:
        _say({"error": InternalError(f"the mirror failed: {type(error).__name__}: {error}").to_value()})
        raise
    _say({"done": done})
    return 0


def progress_to(stream: Any) -> Callable[..., None]:
    """Give what tells progress, at most ten times a second."""
    last = 0.0

    def tell(**values: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            stream.write(json.dumps({"progress": values}) + "\n")
            stream.flush()

    return tell


def _say(value: dict[str, Any]) -> None:
    sys.stderr.write(json.dumps(value) + "\n")
    sys.stderr.flush()


def do(job: dict[str, Any], far: Far, tell: Callable[..., None], store: bytes | None = None) -> Any:
    """Do a job. Raises AfieldError, OSError."""
    base = paths.raw(job["base"])
    own = [(paths.raw(there), paths.raw(here)) for there, here in job.get("own") or ()]
    folder = store or default_folder()
    if job["do"] == "status":
        return _status(base, folder)
    _own_folder(base)
    with _alone(base):
        if job["do"] == "remove":
            return _remove(base, folder)
        with Store(folder) as contents:
            if job["do"] == "get":
                return {"path": paths.text(get(base, own, paths.raw(job["path"]), far))}
            work = copies.Job(
                base,
                paths.raw(job["python"]),
                own,
                job["machine"],
                job["env"],
                bool(job["full"]),
                float(job["delay"]),
            )
            done = copies.sync(work, far, contents, tell)
            if contents.due():
                contents.collect()
            return done


def _own_folder(base: bytes) -> None:
    """Make ``.afield``, and keep it out of git as the first sync does."""
    make_folder(base)
    with contextlib.suppress(FileExistsError):
        fd = os.open(base + b"/.gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(fd, "wb") as file:
            file.write(b"*\n")


@contextlib.contextmanager
def _alone(base: bytes) -> Iterator[None]:
    """Hold the project's lock; waits for another job."""
    fd = os.open(base + b"/mirror.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _status(base: bytes, folder: bytes) -> Any:
    found = copies.status(base)
    files, size = Store(folder).size()
    return {"mirror": found, "store": {"folder": paths.text(folder), "files": files, "bytes": size}}


def _remove(base: bytes, folder: bytes) -> Any:
    files = copies.remove_all(base)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(base + b"/mirror.lock")
    if not os.path.isdir(folder):
        return {"removed": files, "freed_files": 0, "freed_bytes": 0}
    with Store(folder) as contents:
        freed_files, freed = contents.collect(0.0, now=time.time() + 1)
    return {"removed": files, "freed_files": freed_files, "freed_bytes": freed}


def get(base: bytes, own: list[tuple[bytes, bytes]], path: bytes, far: Far) -> bytes:
    """Give the local path of one far file, brought now when it is not here. Raises BadPath, NoSuchFile, what the place says."""
    record = copies.load_record(base)
    known = paths.PathMap(base, record.map if record is not None else own)
    here = known.to_here(path)
    if os.path.isfile(here):
        return here
    if any(
        paths.below(there, paths.check_far(path)) is not None and here == local + path[len(there) :]
        for there, local in own
    ):
        raise NoSuchFile(
            f"{os.fsdecode(path)} is in the project, and there is no {os.fsdecode(here)} here",
            hint="bring it with: afield get",
        )
    target = base + b"/" + paths.FAR + paths.check_far(path)
    if not os.path.isfile(target):
        number = far.ask("file", path=paths.check_far(path), level=LEAST_LEVEL)
        from afield.files.squeeze import unpack

        (data,) = [bytes(item or b"") for item in read_files(bytes(unpack(part)) for part in far.answers(number))]
        _place(base, target, data)
    return target


def _place(base: bytes, target: bytes, data: bytes) -> None:
    import hashlib

    above, _, name = target[len(base) + 1 :].rpartition(b"/")
    with Tree(base) as tree:
        tree.open(above)
        staged = tree.stage(name, "f", [name], lambda _, each, fd: copies.write_at(fd, each, data))
        os.utime(staged, ns=(time_of(hashlib.sha256(data).digest()),) * 2)
        tree.swap(staged, above, name)
