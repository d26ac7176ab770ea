"""The starter under real shells and Pythons, with good caches, bad caches and none."""

import os
import shutil
import string
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythons import python2

from afield.deploy import starter
from afield.deploy.bundle import BOOT, build, pack
from afield.deploy.reply import ReplyReader, is_wrong_hash
from afield.deploy.starter import quote_for_login_shell, render
from afield.errors import InternalError, PythonTooOld, UsageError
from afield.testing.agent import AgentDriver
from afield.transports.explain import explain_start

ROOT = os.getuid() == 0
SHELLS = [
    path
    for name in ("sh", "bash", "dash", "zsh", "csh", "tcsh", "fish", "ksh", "busybox")
    if (path := shutil.which(name))
]
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin") or "python3"


def shell_command(shell, line):
    return [shell, "sh", "-c", line] if shell.endswith("busybox") else [shell, "-c", line]


def wait_for_code(home):
    """Wait until the agent has written its marshalled code."""
    folder = os.path.join(home, ".cache/afield")
    end = time.monotonic() + 20
    while not (found := [name for name in os.listdir(folder) if name.endswith(".code")]):
        assert time.monotonic() < end, "no code file appeared"
        time.sleep(0.02)
    return os.path.join(folder, found[0])


# the text


def test_starter_is_one_short_line_that_no_shell_changes():
    text = render(build(), home="/some/where else")
    assert len(text) <= 4096
    assert set(text) <= set(string.ascii_letters + string.digits + '+/=.,;()_" ')
    assert "\n" not in text


def test_starter_that_would_grow_too_long_is_refused(monkeypatch):
    noise = "".join(f"x{n} = {hash((n, 'x'))}\n" for n in range(2000))
    monkeypatch.setattr(starter, "_stage1", lambda: noise)
    with pytest.raises(InternalError, match="at most"):
        render(build())


@pytest.mark.parametrize("home", ["relative", "", "a\0b"])
def test_home_must_be_an_absolute_folder(home):
    with pytest.raises(UsageError):
        render(build(), home=home)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gives_every_argument_back(shell):
    words = ["plain", "a b", "", "it's", '"quoted"', "$HOME", "`id`", "$(id)", "!x", "back\\slash", "\\", "'", "~", "=ls",
             "%1", "*", "?", "[a]", "{a,b}", "#no", "a;b", "a&b", "a|b", "<x>", "-n", "ü\u20ac", "^x", "a=b", "(x)"]  # fmt: skip
    line = quote_for_login_shell(["/usr/bin/printf", r"%s\n", *words])
    done = subprocess.run(shell_command(shell, line), capture_output=True, check=False)
    assert done.stdout.decode().split("\n")[:-1] == words, (line, done.stderr)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.text(st.characters(blacklist_characters="\n\r\0", blacklist_categories=["Cs", "Cc"])), min_size=1, max_size=4
    )
)
def test_any_text_survives_every_kind_of_shell(words):
    line = quote_for_login_shell(["/usr/bin/printf", r"%s\n", *words])
    for shell in [path for path in SHELLS if os.path.basename(path) in ("dash", "tcsh", "fish", "zsh")]:
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(shell_command(shell, line), capture_output=True, check=False, env=env)
        assert done.stdout.decode().split("\n")[:-1] == words, (shell, line, done.stderr)


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b"])
def test_line_breaks_are_refused(word):
    with pytest.raises(UsageError):
        quote_for_login_shell(["x", word])


@pytest.mark.parametrize("shell", SHELLS)
def test_agent_starts_through_every_login_shell_and_replaces_it(shell, home):
    line = quote_for_login_shell([SYSTEM_PYTHON, "-I", "-S", "-c", render(build())])
    driver = AgentDriver(home)
    with driver:
        process = subprocess.Popen(
            shell_command(shell, line),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=driver.env,
            start_new_session=True,
        )
        driver.processes.append(process)
        driver.process = process
        driver.bootstrap(process)
        driver.begin()
        assert driver.agent_pid() == process.pid, "the shell is still there"


def test_home_may_be_baked_in(home):
    driver = AgentDriver(home, env={"AFIELD_HOME": "/nonexistent"})
    text = render(build(), home=home)
    with driver:
        driver.spawn = lambda: start_text(driver, text)
        reply = driver.dial()
        assert reply.cache == os.path.join(home, ".cache/afield")
        assert os.path.isdir(os.path.join(home, "run"))


def start_text(driver, text, python=None):
    process = subprocess.Popen(
        [python or driver.python, "-I", "-S", "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=driver.env,
        start_new_session=True,
    )
    driver.processes.append(process)
    return process


# noise and old Pythons


def test_banner_before_the_marker_is_kept_and_harmless(home):
    script = 'echo "Welcome to gpu1"; printf "\\001AFIELD1\\377 no newline"; exec "$@"'
    with AgentDriver(home, prefix=["/bin/sh", "-c", script, "sh"]) as driver:
        reply = driver.dial()
        assert reply.noise.startswith("Welcome to gpu1")
        assert bytes(driver.run("echo", "x").out) == b"x\n"


@pytest.mark.skipif(python2() is None, reason="no Python 2 on this machine")
@pytest.mark.parametrize("options", [[], ["-S"]])
def test_python_2_says_that_it_is_too_old(options):
    done = subprocess.run(
        [python2(), *options, "-c", render(build())], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 3
    with pytest.raises(PythonTooOld, match=r"2\.7.*3\.6 or newer"):
        ReplyReader().feed(done.stdout)
    assert done.stderr == b""


@pytest.mark.skipif(python2() is None, reason="no Python 2 on this machine")
def test_refusal_of_the_options_is_recognised():
    done = subprocess.run([python2(), "-I", "-S", "-c", render(build())], capture_output=True, text=True, check=False)
    assert isinstance(explain_start("ssh://old", done.returncode, done.stderr, ""), PythonTooOld)


# the cache


@pytest.mark.pythons
def test_every_python_starts_cold_from_the_bundle_and_from_code(any_python, home):
    with AgentDriver(home, python=any_python) as driver:
        assert driver.dial().need
        assert bytes(driver.run("echo", "cold").out) == b"cold\n"
        wait_for_code(home)
    with AgentDriver(home, python=any_python) as driver:
        assert not driver.dial().need
        assert bytes(driver.run("echo", "code").out) == b"code\n"
        assert driver.call("facts")["cpus"] > 0


def test_cached_bundle_serves_another_python(home):
    with AgentDriver(home) as driver:
        driver.dial()
    with AgentDriver(home, python=SYSTEM_PYTHON) as driver:
        assert not driver.dial().need


def test_cached_files_are_private(home):
    with AgentDriver(home) as driver:
        driver.dial()
        wait_for_code(home)
    folder = os.path.join(home, ".cache/afield")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert {os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in os.listdir(folder)} == {0o600}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "public", "link", "folder"])
def test_damaged_code_is_not_used(home, damage):
    with AgentDriver(home) as driver:
        driver.dial()
        path = wait_for_code(home)
    hurt(path, damage)
    with AgentDriver(home) as driver:
        assert not driver.dial().need, "the bundle is still there"
        assert bytes(driver.run("echo", "x").out) == b"x\n"


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "public", "link", "folder"])
def test_damaged_bundle_is_asked_for_again(home, damage):
    with AgentDriver(home) as driver:
        driver.dial()
        folder = driver.reply.cache
    for name in os.listdir(folder):
        if name.endswith(".bundle"):
            hurt(os.path.join(folder, name), damage)
        else:
            os.unlink(os.path.join(folder, name))
    with AgentDriver(home) as driver:
        assert driver.dial().need
        assert bytes(driver.run("echo", "x").out) == b"x\n"
    if damage != "folder":
        with AgentDriver(home) as driver:
            assert not driver.dial().need, "the good copy replaced the bad one"


def hurt(path, damage):
    with open(path, "rb") as file:
        data = file.read()
    if damage == "public":
        os.chmod(path, 0o644)
        return
    os.unlink(path)
    if damage == "folder":
        os.mkdir(path)
        return
    if damage == "link":
        with open(path + ".elsewhere", "wb") as file:
            file.write(data)
        os.symlink(path + ".elsewhere", path)
        return
    data = {"cut": data[:-100], "flip": data[:-50] + b"\xff" + data[-49:], "empty": b""}[damage]
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o600)


@pytest.mark.skipif(not ROOT, reason="needs another user")
@pytest.mark.parametrize("suffix", [".code", ".bundle"])
def test_file_of_another_user_is_never_executed(home, suffix):
    with AgentDriver(home) as driver:
        driver.dial()
        wait_for_code(home)
        folder = driver.reply.cache
    evil = b"import os; os.write(1, b'EVIL')"
    for name in os.listdir(folder):
        if name.endswith(suffix):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(evil)
            os.chown(os.path.join(folder, name), 65534, 65534)
        else:
            os.unlink(os.path.join(folder, name))
    with AgentDriver(home) as driver:
        assert driver.dial().need


@pytest.mark.skipif(not ROOT, reason="needs another user")
def test_cache_folder_of_another_user_is_not_used(home):
    os.makedirs(os.path.join(home, ".cache/afield"))
    os.chown(os.path.join(home, ".cache/afield"), 65534, 65534)
    for _ in range(2):
        with AgentDriver(home) as driver:
            reply = driver.dial()
            assert (reply.need, reply.cache) == (True, "")
            assert "somebody else" in reply.why


def test_open_cache_folder_is_closed(home):
    os.makedirs(os.path.join(home, ".cache/afield"), 0o777)
    os.chmod(os.path.join(home, ".cache/afield"), 0o777)
    with AgentDriver(home) as driver:
        driver.dial()
        assert os.stat(driver.reply.cache).st_mode & 0o777 == 0o700


def test_home_that_is_no_folder_still_gets_an_agent(home):
    path = os.path.join(home, "file")
    with open(path, "w"):
        pass
    with AgentDriver(path) as driver:
        reply = driver.dial()
        assert (reply.need, reply.cache) == (True, "")
        assert reply.why
        assert bytes(driver.run("echo", "memory").out) == b"memory\n"


@pytest.fixture
def mounted(home):
    """Give a function that mounts a small tmpfs on a folder of the home."""
    done = []

    def mount(folder, options):
        path = os.path.join(home, folder)
        os.makedirs(path, exist_ok=True)
        found = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True, check=False)
        if found.returncode:
            pytest.skip("mounting is not possible here")
        done.append(path)
        return path

    yield mount
    for path in reversed(done):
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.skipif(not ROOT, reason="needs to mount")
def test_read_only_home_runs_from_memory(mounted):
    place = mounted("ro", "ro")
    for _ in range(2):
        with AgentDriver(place) as driver:
            reply = driver.dial()
            assert (reply.need, reply.cache) == (True, "")
            assert "cannot be" in reply.why
            assert bytes(driver.run("sh", "-c", "seq 1 300000; exit 3").out[-7:]) == b"300000\n"


@pytest.mark.skipif(not ROOT, reason="needs to mount")
def test_cache_folder_that_became_read_only_is_left_alone(mounted):
    place = mounted("was-rw", "size=1m")
    os.makedirs(os.path.join(place, ".cache/afield"), 0o700)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    with AgentDriver(place) as driver:
        reply = driver.dial()
        assert (reply.need, reply.cache, reply.why) == (True, "", "the cache folder cannot be written")
        assert bytes(driver.run("echo", "memory").out) == b"memory\n"


@pytest.mark.skipif(not ROOT, reason="needs to mount")
@pytest.mark.parametrize("options", ["size=64k", "size=1m,nr_inodes=3"])
def test_full_disk_runs_from_memory_and_leaves_no_piece(mounted, options):
    place = mounted("full", options)
    for _ in range(2):
        with AgentDriver(place) as driver:
            assert driver.dial().need
            assert bytes(driver.run("echo", "x").out) == b"x\n"
    left = [name for _, _, names in os.walk(place) for name in names]
    assert left == []


@pytest.mark.skipif(not ROOT, reason="needs to mount")
def test_disk_too_full_for_code_keeps_the_bundle(mounted):
    place = mounted("small", f"size={(len(build().data) // 4096 + 20) * 4}k")
    with AgentDriver(place, env={"AFIELD_IDLE": "2.5"}) as driver:
        assert driver.dial().need
        end = time.monotonic() + 20
        while "code cache" not in driver.stderr():
            assert time.monotonic() < end
            driver.pump(0.05)
    assert [name.split(".")[-1] for name in os.listdir(os.path.join(place, ".cache/afield"))] == ["bundle"]
    with AgentDriver(place) as driver:
        assert not driver.dial().need


@pytest.mark.skipif(not ROOT, reason="needs to mount")
def test_noexec_does_not_matter(mounted):
    place = mounted("noexec", "noexec")
    for need in (True, False):
        with AgentDriver(place) as driver:
            assert driver.dial().need is need
            assert bytes(driver.run("echo", "x").out) == b"x\n"


# what crosses the stream


def test_wrong_bundle_is_refused_and_not_kept(home):
    other = pack({BOOT: b"raise SystemExit('must not run')\n", "afield": b""})
    driver = AgentDriver(home)
    process = driver.spawn()
    try:
        reader = ReplyReader()
        while reader.feed(os.read(process.stdout.fileno(), 65536)) is None:
            pass
        process.stdin.write(other.data)
        process.stdin.flush()
        assert is_wrong_hash(reader.rest + process.stdout.read())
        assert process.wait(10) == 3
        assert process.stderr.read() == b""
        assert os.listdir(os.path.join(home, ".cache/afield")) == []
    finally:
        driver.finish()


def test_bundle_byte_by_byte_is_read_exactly(home):
    driver = AgentDriver(home)
    process = driver.spawn()
    with driver:
        reader = ReplyReader()
        while reader.feed(os.read(process.stdout.fileno(), 65536)) is None:
            pass
        data = build().data
        driver.link.transport_opened(0.0)
        hello = b"".join(bytes(piece) for piece in driver.link.data_to_send())
        for at in range(40):
            process.stdin.write(data[at : at + 1])
            process.stdin.flush()
        process.stdin.write(data[40:] + hello)  # the first frames in the same write: none may be swallowed
        process.stdin.flush()
        assert os.read(process.stdout.fileno(), 4) == b"AFLK"


def test_hang_up_in_the_middle_of_the_bundle_ends_the_starter(home):
    driver = AgentDriver(home)
    process = driver.spawn()
    os.read(process.stdout.fileno(), 65536)
    process.stdin.write(build().data[:1000])
    driver.finish()
    assert process.returncode == 3
    assert os.listdir(os.path.join(home, ".cache/afield")) == []


def test_names_that_are_not_ascii_are_told_in_ascii(home):
    odd = os.path.join(home, 'h\u00f6me \U0001f40d "q"')
    os.mkdir(odd)
    with AgentDriver(odd, env={"LC_ALL": "C.UTF-8"}) as driver:
        assert driver.dial().cache == os.path.join(odd, ".cache/afield")


def test_old_releases_are_swept_and_new_ones_stay(home):
    folder = os.path.join(home, ".cache/afield")
    os.makedirs(folder, 0o700)
    for name, age in (("old.bundle", 30), ("old.code", 30), ("new.bundle", 1), ("left.tmp", 1), ("other", 30)):
        path = os.path.join(folder, name)
        with open(path, "w"):
            pass
        os.utime(path, (time.time() - age * 86400,) * 2)
    with AgentDriver(home, env={"AFIELD_IDLE": "2"}) as driver:
        driver.dial()
        wait_for_code(home)
        end = time.monotonic() + 10
        while os.path.exists(os.path.join(folder, "old.bundle")) or os.path.exists(os.path.join(folder, "left.tmp")):
            assert time.monotonic() < end
            time.sleep(0.02)
    left = {name for name in os.listdir(folder) if not name.startswith(build().sha256[:8])}
    assert left == {"new.bundle", "other"}
