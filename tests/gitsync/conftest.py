"""Two folders with real git, one of them behind a real agent: local:// and a private sshd."""

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress

import pytest

from afield import plugins
from afield.gitsync.ends import Here, There
from afield.gitsync.session import GitSync
from afield.link.connection import Connection
from hosts import SSHD, Sshd

WHO = "[user]\n\tname = Tester\n\temail = tester@example.org\n[init]\n\tdefaultBranch = main\n"


class Two:
    """``here`` and ``there`` are folders; ``sync()`` carries git, ``files(to)`` what the file sync would have done."""

    def __init__(self, folder, make):
        self.folder = folder
        self.here, self.there = folder / "here", folder / "there"
        self.here.mkdir()
        self.there.mkdir()
        self.make = make

    def git(self, side, *words, check=True):
        folder = self.here if side == "here" else self.there
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, (words, done.stderr)
        return done.stdout.strip()

    def commit(self, side, name, text, message="more"):
        folder = self.here if side == "here" else self.there
        (folder / name).write_text(text)
        self.git(side, "add", name)
        self.git(side, "commit", "-q", "-m", message)
        return self.git(side, "rev-parse", "HEAD")

    def files(self, to="there"):
        """Make the files of the other side equal, .git left out."""
        source, target = (self.here, self.there) if to == "there" else (self.there, self.here)
        for path in target.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in source.iterdir():
            if path.name != ".git":
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, target / path.name)

    def sync(self, **how):
        async def main():
            link = Connection(self.make())
            try:
                async with asyncio.timeout(60):
                    await link.open()
                    memory = str(self.folder / "memory.json")
                    there = There(link, os.fsencode(self.there))
                    return await GitSync(Here(str(self.here)), there, machine="gpu1", memory=memory).run(**how)
            finally:
                await link.close(quit_agent=True)

        return asyncio.run(main())

    def same(self):
        """Both sides have the same branches, tags, HEAD, and nothing is changed or staged on either."""
        for words in (("for-each-ref", "refs/heads", "refs/tags"), ("rev-parse", "HEAD"), ("log", "--oneline")):
            assert self.git("here", *words) == self.git("there", *words)
        for side in ("here", "there"):
            assert self.git(side, "status", "--porcelain") == ""
            self.git(side, "fsck", "--strict")


@pytest.fixture
def quiet_git(tmp_path, monkeypatch):
    """A configuration of git of our own, and no way to look for a repository above."""
    config = tmp_path / "gitconfig"
    config.write_text(WHO)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.ssh)])
def two(request, tmp_path, quiet_git):
    """A pair over each road."""
    home = tmp_path / "home"
    if request.param == "local":
        yield Two(tmp_path, lambda: plugins.transport_for(f"local://{home}"))
    else:
        if SSHD is None:
            pytest.skip("no sshd on this machine")
        env = {"AFIELD_HOME": str(home), "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
        with Sshd(tmp_path / "sshd", env=env) as box:
            yield Two(tmp_path, lambda: plugins.transport_for(f"ssh://{box.host}", {"ssh": shlex.join(box.ssh)}))
    end_agents(str(home))


@pytest.fixture
def pair(tmp_path, quiet_git):
    """A pair over the quicker road, for what does not depend on it."""
    home = tmp_path / "home"
    yield Two(tmp_path, lambda: plugins.transport_for(f"local://{home}"))
    end_agents(str(home))


def end_agents(home):
    """End the agents of this home."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if f"AFIELD_HOME={home}".encode() in file.read().split(b"\0"):
                    os.kill(int(entry), signal.SIGKILL)
