"""Starting by vfork: where it may be used, what it leaves to the fork, and that a program cannot tell the two apart."""

import os
import sys
import tempfile

import pytest

from afield.agent import vfork
from afield.errors import CommandNotExecutable, CommandNotFound, NoSuchFolder

MOUNTINFO = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:20 / /home rw shared:2 - nfs4 server:/home rw,vers=4.2
31 30 0:21 / /home/me/scratch rw - xfs /dev/sdb1 rw
32 22 0:22 / /with\\040space\\134 rw - fuse.sshfs there:/ rw
33 22 0:23 / /tmp rw - nfs server:/tmp rw
34 22 0:24 / /tmp rw - tmpfs tmpfs rw
"""
quick = pytest.mark.skipif(
    sys.version_info < (3, 10) or not vfork.Mounts().is_local(tempfile.gettempdir().encode(), 1.0),
    reason="this Python has no vfork, or the temporary folder is another machine's",
)


@pytest.fixture
def mounts(tmp_path):
    path = tmp_path / "mountinfo"
    path.write_bytes(MOUNTINFO)
    return vfork.Mounts(str(path))


@pytest.mark.parametrize(
    ("folder", "local"),
    [
        (b"/", True),
        (b"/usr/bin", True),
        (b"/home", False),
        (b"/home/me", False),
        (b"/home/me/scratch/x", True),
        (b"/homeless", True),
        (b"/with space\\/x", False),
        (b"/tmp/x", True),  # the mount on top
        (b"/usr/../home", False),
        (b"relative", False),
        (b"", False),
    ],
)
def test_only_file_systems_of_this_machine_are_local(mounts, folder, local):
    assert mounts.is_local(folder, 1.0) is local
    assert mounts.is_local(folder, 2.0) is local


def test_a_new_mount_is_seen_when_the_table_is_old(mounts, tmp_path):
    assert mounts.is_local(b"/data", 1.0)
    (tmp_path / "mountinfo").write_bytes(MOUNTINFO + b"35 22 0:25 / /data rw - lustre x rw\n")
    assert mounts.is_local(b"/data", 1.0 + vfork.FRESH / 2)
    assert not mounts.is_local(b"/data", 1.0 + vfork.FRESH)


def test_without_a_table_nothing_is_local(tmp_path):
    assert not vfork.Mounts(str(tmp_path / "none")).is_local(b"/", 1.0)


def _try(files, folder=b"/", argv=(b"x",), env=None):
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return vfork.fork_exec(files, list(argv), env or {}, folder, (null, null, null))
    finally:
        os.close(null)


def children():
    """Our children, zombies too; other tests of this process may have left daemons that are about to end."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(file.read().split())


@quick
def test_the_first_file_that_is_there_runs(tmp_path):
    pid = _try([os.fsencode(tmp_path / "none"), b"/bin/sh"], argv=[b"sh", b"-c", b"exit 7"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@quick
@pytest.mark.parametrize(
    ("files", "folder"),
    [([b"/bin/none"], b"/"), ([b"/etc/passwd"], b"/"), ([b"/bin/true"], b"/none"), ([b"true"], b"/")],
)
def test_whatever_fails_is_left_to_the_fork_without_a_trace(files, folder):
    before, born = len(os.listdir("/proc/self/fd")), children()
    assert _try(files, folder) is None
    assert len(os.listdir("/proc/self/fd")) == before
    assert children() == born


def test_arguments_that_python_does_not_know_are_left_to_the_fork(monkeypatch):
    monkeypatch.setattr(vfork, "_options", lambda: [1, 2, 3])
    assert _try([b"/bin/true"]) is None


def test_programs_ignore_and_block_nothing_and_have_a_session_of_their_own(any_python, start):
    # A login that ignores signals, as nohup and a shell's background do.
    agent = start(python=any_python, prefix=["/bin/sh", "-c", 'trap \'\' INT HUP USR1; exec "$0" "$@"'])
    out = bytes(
        agent.run("sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status; ps -o sid= -p $$; echo $$").out
    ).split()
    ours = (
        3 << 31
    )  # signals 32 and 33 are the C library's: its posix_spawn leaves them ignored, and nobody can reset them
    assert [out[0], out[2]] == [b"SigBlk:", b"SigIgn:"]
    assert [int(value, 16) & ~ours for value in (out[1], out[3])] == [0, 0]
    assert out[4] == out[5]


def test_failures_are_the_same_under_every_python(any_python, start, home):
    agent = start(python=any_python)
    script = os.path.join(home, "script")
    with open(script, "w") as file:
        file.write("#!/none/there\n")
    os.chmod(script, 0o755)
    for words, options, error in (
        (["none-of-this-name"], {}, CommandNotFound),
        ([script], {}, CommandNotExecutable),
        (["/etc/passwd"], {}, CommandNotExecutable),
        (["true"], {"cwd": b"/none"}, NoSuchFolder),
    ):
        with pytest.raises(error):
            agent.run(*words, **options)
    assert agent.call("processes") == []
