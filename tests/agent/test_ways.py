"""Which ways a place allows: asked by trying, and each "no" names what forbids it."""

import os

import pytest

from afield.agent import ground, standin, twin, ways
from afield.errors import NoView

# A user namespace in which no further namespaces may be made: what a hardened kernel or a container does.
FORBIDDEN = (
    "echo 0 > /proc/sys/user/max_user_namespaces; echo 0 > /proc/sys/user/max_mnt_namespaces; "
    'cat /proc/sys/user/max_mnt_namespaces; exec "$@"'
)


@pytest.fixture
def hardened(start, home):
    if os.getuid() != 0:
        pytest.skip("needs root to forbid namespaces")
    return start(prefix=["unshare", "-U", "-r", "sh", "-c", FORBIDDEN, "sh"], env={"HOME": home})


def test_forbidden_namespaces_are_told_with_the_switch(hardened, home):
    there, local = os.fsencode(home) + b"/far", os.fsencode(home) + b"/here"
    for _ in range(2):  # the second answer is the kept one
        told = hardened.call("ways", there=there, local=local)
        assert told["twin"]["ok"] is False
        assert "user.max_user_namespaces = 0" in told["twin"]["why"]
        assert told["same"]["ok"] is True
    with pytest.raises(NoView, match="max_user_namespaces = 0"):
        hardened.call("view", folders=[[there, local]])
    assert hardened.run("true").status == 0


@pytest.mark.parametrize(
    ("files", "number", "text"),
    [
        ({"kernel/unprivileged_userns_clone": "0"}, 1, "kernel.unprivileged_userns_clone = 0"),
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, 13, "kernel.apparmor_restrict_unprivileged_userns = 1"),
        (
            {"kernel/unprivileged_userns_clone": "1", "user/max_user_namespaces": "0"},
            28,
            "user.max_user_namespaces = 0",
        ),
        ({}, 1, "seccomp"),
        ({}, 22, ""),
    ],
)
def test_reason_is_read_from_the_systems_switches(tmp_path, files, number, text):
    for name, value in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    why = twin.why_not(number, str(tmp_path))
    assert text in why if text else why == ""


def test_same_path_is_there_can_be_made_or_not(tmp_path):
    base = os.fsencode(os.path.realpath(tmp_path))
    for name in (b"/empty", b"/full/x", b"/real"):
        os.makedirs(base + name)
    os.symlink(base + b"/real", base + b"/link")
    with open(base + b"/file", "wb"):
        pass
    look = {name: ways.same(base + b"/there", base + name) for name in (b"/there", b"/new/deep", b"/empty", b"/full")}
    assert [look[name]["ok"] for name in sorted(look)] == [True, False, True, True]
    assert look[b"/there"]["is"]
    assert not look[b"/new/deep"]["is"]
    for name in (b"/link/x", b"/link", b"/file", b"/file/x"):
        told = ways.same(base + b"/there", base + name)
        assert not told["ok"], name
        assert told["why"]
    assert not ways.same(base, b"/proc/x")["ok"]
    assert not ways.same(base, b"no/path")["ok"]


def test_plan_replaces_only_what_the_user_cannot_write_to(tmp_path, monkeypatch):
    base = os.fsencode(os.path.realpath(tmp_path))
    os.makedirs(base + b"/closed/other")
    os.makedirs(base + b"/open")
    monkeypatch.setattr(ground, "_may_make", lambda folder: not folder.endswith(b"/closed"))
    plan = ground.Ground()
    plan.prepare(base + b"/open/a/b")
    plan.prepare(base + b"/closed/a/b")
    plan.prepare(base + b"/closed/a/c")
    assert plan.made == [(base + b"/open/a", base + b"/open/a"), (base + b"/open/a/b", base + b"/open/a/b")]
    assert plan.replaced == {base + b"/closed": {}}
    assert plan.in_memory == [base + b"/closed/a", base + b"/closed/a/b", base + b"/closed/a/c"]
    assert not os.path.exists(base + b"/open/a")


def test_symlink_is_replaced_by_what_it_leads_to(tmp_path, monkeypatch):
    base = os.fsencode(os.path.realpath(tmp_path))
    os.makedirs(base + b"/disk/me")
    os.makedirs(base + b"/closed")
    os.symlink(base + b"/disk", base + b"/closed/home")
    monkeypatch.setattr(ground, "_may_make", lambda folder: folder == base + b"/disk/me")
    plan = ground.Ground()
    plan.prepare(base + b"/closed/home/me/proj")
    assert plan.replaced == {base + b"/closed": {b"home": base + b"/disk"}}
    assert plan.made == [(base + b"/closed/home/me/proj", base + b"/disk/me/proj")]


def test_standin_of_a_missing_interpreter_is_refused(tmp_path):
    with pytest.raises(OSError, match="no interpreter"):
        standin.describe(os.fsencode(tmp_path) + b"/python")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tool"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(OSError, match="version"):
        standin.describe(os.fsencode(program))
