"""The far end of environments that tools make inside a project: as they are here before a run, and what the run changed in them.

Part of the courier's text (courier_there.py). The sync leaves environments alone, because one works only where it was made; one that
was made on the project's interpreter works on both sides. What both sides agreed on last is kept beside the store.
"""

# ruff: noqa: UP031, D103, D101, D102, ANN001, ANN201, ANN204
# mypy: ignore-errors

import hashlib
import json
import os
import stat


def decode(path):
    return os.fsencode(path)


class Tree:
    def __init__(self, spec, folder, raw):
        self.top = raw(spec["there"])
        self.items = {raw(item[0]): item[1:] for item in spec["items"]}
        self.state_path = os.path.join(folder, hashlib.sha256(self.top).hexdigest()[:32] + ".json")
        self.state = {}
        try:
            with open(self.state_path) as file:
                self.state = json.load(file)
        except (OSError, ValueError):
            pass
        self.due = [path for path, item in self.items.items() if not self.stands(path, item)]

    def mark(self, path):
        """Give what tells a version of an entry: link target, or size and time; None for what is no file or link."""
        where = os.path.join(self.top, path)
        try:
            status = os.lstat(where)
        except OSError:
            return None
        if stat.S_ISLNK(status.st_mode):
            return ["l", os.fsdecode(os.readlink(where))]
        return ["f", status.st_size, status.st_mtime_ns] if stat.S_ISREG(status.st_mode) else None

    def stands(self, path, item):
        kind, value = item[0], item[1]
        now = self.mark(path)
        if kind == "l":
            return now == ["l", value]
        before = self.state.get(os.fsdecode(path))
        return before is not None and before[0] == value and before[1] == now

    def wanted(self):
        return {self.items[path][1] for path in self.due if self.items[path][0] == "f"}

    def place(self, blob, put):
        for name, (_, mark) in list(self.state.items()):
            path = os.fsencode(name)
            if path not in self.items and self.mark(path) == mark:
                os.unlink(os.path.join(self.top, path))
                del self.state[name]
        for path in self.due:
            kind, value, mode = self.items[path]
            where = os.path.join(self.top, path)
            os.makedirs(os.path.dirname(where), exist_ok=True)
            if kind == "l":
                part = where + b".%d.part" % os.getpid()
                os.symlink(os.fsencode(value), part)
                os.rename(part, where)
            else:
                with open(blob(value), "rb") as file:
                    put(where, file.read(), mode)
        for path, item in self.items.items():
            self.state[os.fsdecode(path)] = [item[1], self.mark(path)]
        self.save()

    def save(self):
        part = "%s.%d.part" % (self.state_path, os.getpid())
        with open(part, "w") as file:
            json.dump(self.state, file)
        os.rename(part, self.state_path)

    def all(self):
        for where, folders, names in os.walk(self.top):
            links = [name for name in folders if os.path.islink(os.path.join(where, name))]
            folders[:] = [name for name in folders if name != b"__pycache__"]
            for name in names + links:
                if not name.endswith((b".pyc", b".pyo", b".part")):
                    yield os.path.relpath(os.path.join(where, name), self.top)

    def report(self, tell):
        """Tell what is new, different or gone since ``place``."""
        seen = set()
        for path in self.all():
            name, mark = os.fsdecode(path), self.mark(path)
            if mark is None:
                continue
            seen.add(name)
            before = self.state.get(name)
            if before is not None and before[1] == mark:
                continue
            if mark[0] == "l":
                tell(b"", path, "l", 0, mark[1])
                self.state[name] = [mark[1], mark]
                continue
            where = os.path.join(self.top, path)
            with open(where, "rb") as file:
                data = file.read()
            digest = hashlib.sha256(data).hexdigest()
            if before is None or before[0] != digest:
                tell(data, path, "f", stat.S_IMODE(os.lstat(where).st_mode), digest)
            self.state[name] = [digest, mark]
        for name in set(self.state) - seen:
            tell(b"", os.fsencode(name), "gone", 0, "")
            del self.state[name]
        if os.path.isdir(self.top):
            self.save()
