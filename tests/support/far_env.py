"""Real environments with packages in them, and a mirror conversation with a worker of the place in a forked process."""

import base64
import contextlib
import hashlib
import os
import subprocess
import sys

from afield.agent import mirror as service
from afield.mirror import paths, worker
from afield.mirror.far import Far


def make_env(folder, python=None):
    """A virtual environment without pip; gives (interpreter, site-packages)."""
    program = python or os.path.realpath(sys.executable)
    subprocess.run([program, "-I", "-m", "venv", "--without-pip", str(folder)], check=True)
    (name,) = os.listdir(os.path.join(folder, "lib"))
    return os.path.join(folder, "bin", "python"), os.path.join(folder, "lib", name, "site-packages")


def install(site, name, files, version="1.0"):
    """Put a package's files (path → bytes) into site-packages with a RECORD, as installers do (PEP 376)."""
    info = f"{name}-{version}.dist-info"
    everything = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()}
    lines = []
    for path, data in everything.items():
        full = os.path.join(site, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}")
    with open(os.path.join(site, info, "RECORD"), "w") as file:
        file.write("\n".join([*lines, f"{info}/RECORD,,"]) + "\n")


class Place:
    """The far end: what a test asks of it goes through pipes to a forked worker, as over a link."""

    def __init__(self, base, store):
        self.base, self.store = str(base), str(store)
        self.far = None
        self.asked = []

    @contextlib.contextmanager
    def connected(self):
        to_worker, requests = os.pipe()
        answers, from_worker = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(requests)
            os.close(answers)
            with contextlib.suppress(BaseException):
                service.main(to_worker, from_worker)
            os._exit(0)
        os.close(to_worker)
        os.close(from_worker)
        try:
            yield Counted(answers, requests, self.asked)
        finally:
            os.close(requests)
            os.close(answers)
            os.waitpid(pid, 0)

    def do(self, verb, far=None, **job):
        job = {
            "do": verb,
            "base": self.base,
            "own": [],
            "machine": "m",
            "env": None,
            "full": False,
            "delay": 0.0,
            **job,
        }
        self.asked.clear()
        with contextlib.ExitStack() as stack:
            line = far or stack.enter_context(self.connected())
            return worker.do(job, line, lambda **_: None, os.fsencode(self.store))

    def sync(self, python, **more):
        return self.do("sync", python=str(python), **more)

    def here(self, *parts):
        return os.path.join(self.base, *parts)

    def map(self):
        with open(self.here("mirror.json"), "rb") as file:
            return paths.from_file(os.fsencode(self.base), file.read())


class Counted(Far):
    """Notes what is asked."""

    def __init__(self, in_fd, out_fd, asked):
        super().__init__(in_fd, out_fd)
        self._asked = asked

    def ask(self, verb, **args):
        self._asked.append((verb, args))
        return super().ask(verb, **args)
