"""The small parts: error numbers, probes of file systems, folder handles, the state folder, polling's comparison."""

import errno
import os

import pytest

from afield import errors
from afield.files import faults, polling, probe, rules
from afield.files.handles import HANDLES, Handles
from afield.files.roots import Root
from afield.files.state import State


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, errors.NoSuchFile),
        (errno.EACCES, errors.NotAllowed),
        (errno.EPERM, errors.NotAllowed),
        (errno.EROFS, errors.ReadOnly),
        (errno.ENOSPC, errors.DiskFull),
        (errno.EDQUOT, errors.DiskFull),
        (errno.ENAMETOOLONG, errors.NameTooLong),
        (errno.ELOOP, errors.WrongKind),
        (errno.ENOTDIR, errors.WrongKind),
        (errno.EIO, errors.FileFailed),
    ],
)
def test_an_error_number_becomes_a_class_that_names_the_path(number, kind):
    error = faults.from_os_error(OSError(number, os.strerror(number)), b"some/\xff\npath")
    assert type(error) is kind
    assert error.text.startswith("some/\\\\xff\\npath: ")
    assert error.details["path"] == b"some/\xff\npath"


MOUNTS = b"""\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /home rw shared:2 - nfs4 server:/home rw
24 23 0:21 / /home/me/with\\040space rw - fuse.sshfs me@host: rw
25 22 0:22 / /home rw - autofs auto rw
"""


@pytest.mark.parametrize(
    ("path", "fs"),
    [
        (b"/", "ext4"),
        (b"/etc", "ext4"),
        (b"/homes", "ext4"),
        (b"/home", "autofs"),
        (b"/home/me/with space/x", "fuse.sshfs"),
    ],
)
def test_the_longest_and_last_mount_above_a_path_counts(path, fs):
    assert probe.from_mountinfo(MOUNTS, path) == fs


def test_which_file_systems_change_from_elsewhere():
    assert all(map(probe.is_network, ["nfs", "nfs4", "lustre", "fuse.sshfs", "9p"]))
    assert not any(map(probe.is_network, ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs"]))


def test_the_step_of_times_follows_from_what_is_kept():
    assert probe.granularity_of(123456789) == 1
    assert probe.granularity_of(123456700) == 100
    assert probe.granularity_of(123000000) == 1_000_000
    assert probe.granularity_of(0) == 1_000_000_000
    assert probe.granularity_of(10**9) == 2 * 10**9


def test_a_probe_leaves_nothing_behind(root):
    opened = Root(root, create=True)
    fd = os.open(root, os.O_RDONLY)
    found = probe.probe(fd, root)
    os.close(fd)
    opened.close()
    assert os.listdir(root) == []
    assert found["symlinks"] is True
    assert found["free"] > 0


def test_handles_stay_few_however_deep_and_wide(folder):
    deep = b"/".join([b"d"] * 30)
    os.makedirs(folder + b"/" + deep)
    for place in range(30):
        os.mkdir(folder + b"/%d" % place)
    fd = os.open(folder, os.O_RDONLY)
    handles = Handles(fd)
    try:
        assert os.fstat(handles.folder(deep)).st_ino == os.stat(folder + b"/" + deep).st_ino
        for place in range(30):
            assert os.fstat(handles.folder(b"%d" % place)).st_ino == os.stat(folder + b"/%d" % place).st_ino
            assert len(handles.folders) <= HANDLES
        handles.make(b"new/one/deep")
        assert os.path.isdir(folder + b"/new/one/deep")
        for bad in (b"..", b"a/..", b"/etc", b"a//b", b".", b"a\0b"):
            with pytest.raises((errors.BadPath, OSError)):
                handles.folder(bad)
            with pytest.raises((errors.BadPath, OSError)):
                handles.locate(bad)
    finally:
        handles.forget()
        os.close(fd)
    assert handles.folders == {}


def test_a_state_folder_that_is_a_symlink_is_refused(folder):
    os.mkdir(folder + b"/elsewhere")
    os.makedirs(folder + b"/root")
    os.symlink(folder + b"/elsewhere", os.path.join(folder, b"root", b".afield"))
    root = Root(folder + b"/root")
    with pytest.raises(errors.FilesError):
        State(root)
    root.close()
    assert os.listdir(folder + b"/elsewhere") == []


def test_the_next_open_sweeps_what_a_killed_worker_left_in_staging(root):
    opened = Root(root, create=True)
    state = State(opened)
    os.makedirs(root + b"/.afield/staging/99999-dead/tree/deep")
    with open(root + b"/.afield/staging/99999-dead/file", "wb") as file:
        file.write(b"x")
    second = State(opened)
    left = os.listdir(root + b"/.afield/staging")
    assert sorted(left) == sorted([state.staging_name, second.staging_name])
    second.close()
    state.close()
    opened.close()


def test_git_never_sees_the_state_folder(root):
    opened = Root(root, create=True)
    State(opened).close()
    opened.close()
    with open(root + b"/.afield/.gitignore", "rb") as file:
        assert file.read() == b"*\n"


def test_polling_tells_new_changed_and_gone_names_apart():
    folder, file = (0o040000, 0, 0, 1, 0), (0o100644, 1, 1, 2, 1)
    old = {b"same": file, b"changed": file, b"gone": file, b"gone_folder": folder}
    new = {b"same": file, b"changed": (0o100644, 2, 1, 2, 1), b"new": file, b"new_folder": folder}
    assert sorted(polling.compare(b"d", old, new)) == [
        (b"d/changed", False, False),
        (b"d/gone", False, True),
        (b"d/gone_folder", True, True),
        (b"d/new", False, False),
        (b"d/new_folder", True, False),
    ]
    assert list(polling.compare(b"", new, new)) == []


def test_rules_find_the_ignore_files_on_the_way(root):
    os.makedirs(root + b"/a/b")
    os.makedirs(root + b"/venv38/lib")
    for path, text in ((b"a/.gitignore", b"*.bin\n/b/secret\n"), (b"venv38/pyvenv.cfg", b"")):
        with open(root + b"/" + path, "wb") as file:
            file.write(text)
    opened = Root(root)
    found = rules.Rules(["*.tmp"])
    try:
        for path, out in (
            (b"a/b/x.bin", True),
            (b"x.bin", False),
            (b"a/b/secret", True),
            (b"a/b/x.tmp", True),
            (b"a/b/x", False),
            (b"venv38", True),
            (b"venv38/lib", True),
            (b".afield/identity", True),
            (b".git/config", True),
        ):
            assert found.left_out(opened, path) is out, path
    finally:
        opened.close()
