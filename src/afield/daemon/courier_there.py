"""The far end of what is carried for one run: puts files into the store, tells afterwards what the run made of them.

It travels as text and runs as ``python -I -S -c``, Python 3.6 or newer, with records on its standard streams: u32 LE size, JSON,
then as many bytes as the JSON's ``size`` says. Rules: nothing is written outside the store; a file is put by a temporary name and
a rename; helpers are shared by content (one blob, hard links, read-only), plain files are the run's own. What must not go in: any
decision about what travels.
"""

# ruff: noqa: UP031, D103, D101, D102, ANN001, ANN003, ANN201, ANN204
# mypy: ignore-errors

import base64
import fcntl
import hashlib
import json
import os
import select
import stat
import sys

POLL = 0.2  # seconds between looks at what a program writes: a tail that a person reads
MOST = 256 << 20  # of one file that comes back


def store():
    home = os.environ.get("AFIELD_HOME")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = home + "/.cache" if home else cache if cache[:1] == "/" else os.path.expanduser("~") + "/.cache"
    for folder in (base + "/afield/carried", "/tmp/afield-%d/carried" % os.getuid()):
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            if os.stat(folder).st_uid == os.getuid() and os.access(folder, os.W_OK):
                os.chmod(folder, 0o700)
                return os.path.realpath(folder)
        except OSError:
            continue
    raise OSError("no folder for carried files can be made there")


def read(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def receive():
    value = json.loads(read(int.from_bytes(read(4), "little")).decode("ascii"))
    return value, read(value.get("size", 0))


def tell(data=b"", **value):
    value["size"] = len(data)
    head = json.dumps(value).encode("ascii")
    view = memoryview(len(head).to_bytes(4, "little") + head + data)
    while view:
        view = view[os.write(1, view) :]


def text(path):
    return base64.b64encode(path).decode("ascii")


def raw(path):
    return base64.b64decode(path)


def sha(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
    return found.hexdigest()


def put(path, data, mode):
    part = path + b".%d.part" % os.getpid()
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
    os.rename(part, path)


class Courier:
    def __init__(self, plan):
        self.root = os.fsencode(store())
        self.base = os.path.join(self.root, os.fsencode(plan["who"]))
        self.blobs = os.path.join(self.root, b"blobs")
        os.makedirs(self.blobs, 0o700, exist_ok=True)
        self.plan = plan
        self.known = {}
        self.told = {}
        self.tails = [raw(path) for path in plan["outputs"]]

    def there(self, path):
        return self.base + path

    def blob(self, digest):
        return os.path.join(self.blobs, digest.encode("ascii"))

    def place(self):
        for path in self.plan["folders"]:
            os.makedirs(self.there(raw(path)), 0o700, exist_ok=True)
        for path in self.plan["outputs"]:
            where = self.there(raw(path))
            os.makedirs(os.path.dirname(where), 0o700, exist_ok=True)
            try:
                os.unlink(where)
            except OSError:
                pass
        state = os.path.join(self.root, b"trees")
        os.makedirs(state, 0o700, exist_ok=True)
        self.trees = [Tree(spec, os.fsdecode(state), raw) for spec in self.plan["trees"]]  # noqa: F821 - trees_there.py
        needed = {item[1] for item in self.plan["files"]}.union(*(tree.wanted() for tree in self.trees))
        wanted = sorted(digest for digest in needed if not os.path.exists(self.blob(digest)))
        for digest in needed.difference(wanted):
            renew(self.blob(digest))  # noqa: F821 - sweep_there.py
        tell(want=wanted, base=text(self.base))
        for _ in wanted:
            value, data = receive()
            if hashlib.sha256(data).hexdigest() != value["blob"]:
                raise OSError("a carried file arrived damaged")
            put(self.blob(value["blob"]), data, 0o500)
            # Compiled code is believed by its source's time and size (PEP 552 has the way that hardly anybody uses).
            when = int(value["blob"][:7], 16) + 1000000000
            os.utime(self.blob(value["blob"]), (when, when))
        for path, digest, mode, own in self.plan["files"]:
            self.link(raw(path), digest, mode, own)
        for path in self.plan["fifos"]:
            self.fifo(self.there(raw(path)))
        for tree in self.trees:
            tree.place(self.blob, put)

    def link(self, path, digest, mode, own):
        where, blob = self.there(path), self.blob(digest)
        os.makedirs(os.path.dirname(where), 0o700, exist_ok=True)
        if own:
            with open(blob, "rb") as file:
                put(where, file.read(), mode)
            self.known[path] = digest
            if not os.path.getsize(blob):
                self.tails.append(path)
            return
        try:
            if os.path.samestat(os.stat(where), os.stat(blob)):
                return
        except OSError:
            pass
        part = where + b".%d.part" % os.getpid()
        os.link(blob, part)
        os.rename(part, where)

    def fifo(self, where):
        os.makedirs(os.path.dirname(where), 0o700, exist_ok=True)
        try:
            os.unlink(where)
        except OSError:
            pass
        os.mkfifo(where, 0o600)

    def watched(self):
        for path in self.plan["outputs"]:
            yield raw(path)
        for path in list(self.known):
            yield path
        for path in self.plan["folders"]:
            top = self.there(raw(path))
            for where, folders, names in os.walk(top):
                folders[:] = [name for name in folders if name not in (b"__pycache__", b".git")]
                for name in names:
                    if not name.endswith((b".pyc", b".pyo")):
                        yield os.path.join(where, name)[len(self.base) :]

    def tail(self):
        """Tell what was added to files that were empty or not there, while the program runs."""
        for path in self.tails:
            try:
                with open(self.there(path), "rb") as file:
                    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        continue
                    at = self.told.get(path, 0)
                    if os.fstat(file.fileno()).st_size > at:
                        file.seek(at)
                        data = file.read(1 << 20)
                        tell(data, append=text(path), at=at)
                        self.told[path] = at + len(data)
            except OSError:
                continue

    def run(self):
        """Wait for the end of the run: a record, or the end of our own input."""
        while True:
            ready = select.select([0], [], [], POLL)[0]
            if ready:
                receive()
                return
            self.tail()

    def release(self):
        """Let go who still waits at a pipe that the program never opened."""
        for path in self.plan["fifos"]:
            for flags in (os.O_RDONLY, os.O_WRONLY):
                try:
                    os.close(os.open(self.there(raw(path)), flags | os.O_NONBLOCK))
                except OSError:
                    pass

    def report(self):
        self.release()
        seen = set()
        for path in self.watched():
            if path not in seen:
                seen.add(path)
                self.compare(path)
        for path in self.plan["outputs"]:
            self.folder(raw(path), seen)
        for number, tree in enumerate(self.trees):
            tree.report(
                lambda data, path, kind, mode, value, number=number: self.entry(number, data, path, kind, mode, value)
            )
        tell(done=True)

    def entry(self, number, data, path, kind, mode, value):
        tell(data, tree=number, path=text(path), kind=kind, mode=mode, value=value)

    def folder(self, path, seen):
        """An output that became a folder comes with all that is in it."""
        top = self.there(path)
        if os.path.isdir(top) and not os.path.islink(top):
            for where, folders, names in os.walk(top):
                folders[:] = [name for name in folders if name not in (b"__pycache__", b".git")]
                for name in names:
                    each = os.path.join(where, name)[len(self.base) :]
                    if each not in seen and not name.endswith((b".pyc", b".pyo")):
                        self.compare(each)

    def compare(self, path):
        where = self.there(path)
        try:
            status = os.lstat(where)
        except OSError:
            if path in self.known:
                tell(gone=text(path))
            return
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST:
            return
        digest = sha(where)
        if digest != self.known.get(path):
            with open(where, "rb") as file:
                tell(file.read(), changed=text(path), mode=stat.S_IMODE(status.st_mode))

    def clear(self):
        """Remove what was this run's own; helpers stay for the next."""
        mine = [self.there(raw(path)) for path in self.plan["outputs"] + self.plan["fifos"]]
        mine += [self.there(path) for path in self.known]
        for path in mine:
            try:
                if os.path.isdir(path) and not os.path.islink(path):
                    import shutil

                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.unlink(path)
            except OSError:
                pass


def main():
    plan, _ = receive()
    try:
        courier = Courier(plan)
        lock = hold(courier.root, fcntl.LOCK_SH)  # noqa: F821 - sweep_there.py
        courier.place()
        if lock is not None:
            os.close(lock)
    except OSError as error:
        tell(failed=str(error))
        return
    tell(ready=True)
    sweep(courier.root)  # noqa: F821 - sweep_there.py
    if not plan["stay"]:
        return
    try:
        courier.run()
        courier.report()
    except EOFError:
        pass
    finally:
        courier.clear()


if __name__ == "__main__":
    # Whoever started us is gone when the streams are.
    try:
        main()
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
