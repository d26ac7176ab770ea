"""A real agent behind a real sshd and behind a subprocess: dials, cuts, deaths, and what goes wrong at a login."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
import time

import pytest

from afield import errors
from afield.link import state

pytestmark = pytest.mark.ssh


def process(argv, **fields):
    header = {
        "do": "process",
        "argv": [os.fsencode(word) for word in argv],
        "cwd": None,
        "env": {},
        "unset": [],
        "tty": None,
    }
    return {**header, "login": False, "id": os.urandom(16), "label": "test", "mkdir": False, **fields}


async def wait_next(link, kind):
    future = asyncio.get_running_loop().create_future()

    def look(new):
        if isinstance(new, kind) and not future.done():
            future.set_result(new)

    link.on_state.append(look)
    try:
        return await future
    finally:
        link.on_state.remove(look)


async def digest_down(link, size):
    """A stream of `size` reproducible bytes made there; gives the stream and a task that hashes what comes."""
    code = f"import os\nb = bytes(range(256)) * 256\nfor n in range({size} // 65536): os.write(1, n.to_bytes(8, 'big') + b[8:])"
    stream = link.open_stream(process([sys.executable, "-I", "-S", "-c", code]))
    return stream, asyncio.ensure_future(swallow(stream))


async def swallow(stream):
    stream.on_message = lambda _: None
    got = hashlib.sha256()
    while data := await stream.read():
        got.update(data)
    return got.hexdigest()


def expected(size):
    block = bytes(range(256)) * 256
    got = hashlib.sha256()
    for n in range(size // 65536):
        got.update(n.to_bytes(8, "big") + block[8:])
    return got.hexdigest()


@pytest.fixture(params=["local", "ssh"])
def transport(request):
    if request.param == "local":
        return request.getfixturevalue("local_transport")
    return request.getfixturevalue("ssh_transport")(request.getfixturevalue("sshd")())


def test_a_first_and_a_cached_dial_answer_calls(transport, run):
    async def work(link):
        facts = await link.call("facts")
        return facts["pythons"] is not None, link.reply.need

    first = run(transport, work)
    second = run(transport, work)
    assert first == (True, 1)
    assert second == (True, 0)


def test_a_process_runs_with_its_streams_apart_and_tells_its_exit(transport, run):
    async def work(link):
        stream = link.open_stream(process(["sh", "-c", "cat; echo oops >&2; exit 7"]))
        await stream.write(b"hello")
        await stream.write_end()
        out = await stream.read()
        err = await stream.read_err()
        said = [value async for value in stream.messages()]
        return out, err, said[-1]

    assert run(transport, work) == (b"hello", b"oops\n", {"exit": 7})


def test_a_kill_of_the_carrier_in_the_middle_of_both_ways_loses_nothing_and_takes_about_a_second(
    sshd, ssh_transport, run
):
    size = 50 * 1024 * 1024
    blob = os.urandom(1 << 20)
    want_up = hashlib.sha256(blob * 50).hexdigest()

    async def work(link):
        up = link.open_stream(process(["sha256sum"]))
        up.on_message = lambda _: None

        async def send():
            for _ in range(50):
                await up.write(blob)
            await up.write_end()

        sending = asyncio.ensure_future(send())
        _down, receiving = await digest_down(link, size)
        pauses = []
        for _ in range(3):
            moved = link.statistics()["link"]
            await asyncio.sleep(0.1)
            lost = asyncio.ensure_future(wait_next(link, state.Waiting))
            back = asyncio.ensure_future(wait_next(link, state.Connected))
            await asyncio.sleep(0)
            start = time.monotonic()
            os.kill(link.pid, signal.SIGKILL)
            await lost
            assert (await back).resumed, moved
            pauses.append(time.monotonic() - start)
        await sending
        said = await up.read()
        return said.split()[0].decode(), await receiving, pauses

    up, down, pauses = run(ssh_transport(sshd()), work, seconds=100)
    assert up == want_up
    assert down == expected(size)
    assert min(pauses) < 1.5


def test_the_death_of_the_agent_ends_the_streams_by_name_and_a_new_agent_serves(transport, run):
    async def work(link):
        renewed = asyncio.Event()
        link.on_new_session.append(renewed.set)
        stream = link.open_stream(process(["cat"]))
        await stream.write(b"x")
        assert await stream.read() == b"x"
        pid = (await link.call("footprint"))["pid"]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(errors.SessionGone) as caught:
            await stream.read()
        assert link.transport.describe() in caught.value.text
        await renewed.wait()
        return (await link.call("footprint"))["pid"] != pid

    assert run(transport, work)


def test_what_lives_at_the_place_is_gone_after_a_quit(transport, run, agents_of):
    async def work(link):
        await link.call("ping")

    run(transport, work)
    end = time.monotonic() + 10
    while agents_of():
        assert time.monotonic() < end, agents_of()
        time.sleep(0.05)


def test_a_stopped_carrier_is_noticed_after_a_sleep_of_ours(sshd, ssh_transport, run, monkeypatch):
    """The clock steps as after a laptop's sleep, and ssh no longer answers: the link is dialed anew at once."""
    from afield.link import connection, heart

    monkeypatch.setattr(heart, "TICK", 0.1)
    monkeypatch.setattr(connection, "TICK", 0.1)
    monkeypatch.setattr(heart, "PATIENCE_AFTER_STEP", 0.3)
    real = connection._clock_with_sleep
    offset = [0.0]
    monkeypatch.setattr(connection, "_clock_with_sleep", lambda: real() + offset[0])

    async def work(link):
        await link.call("ping")
        stopped = link.pid
        os.kill(stopped, signal.SIGSTOP)
        back = asyncio.ensure_future(wait_next(link, state.Connected))
        await asyncio.sleep(0)
        start = time.monotonic()
        offset[0] = 3600.0
        assert (await back).resumed
        return time.monotonic() - start

    assert run(ssh_transport(sshd()), work) < 5


def test_an_adopted_process_is_the_first_dial(sshd, ssh_transport, run):
    from afield.link import early

    transport = ssh_transport(sshd())
    adopted = early.begin(transport)

    async def work(link):
        await link.call("ping")
        return link.pid

    assert run(transport, work, adopted=adopted) == adopted.pid


def test_a_dial_begins_without_asyncio():
    import subprocess

    code = "import sys, afield.link.early, afield.plugins, afield.transports.ssh; print('asyncio' in sys.modules, 'subprocess' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "False"]


# -- logins that fail


def failure(transport, run, **settings):
    async def work(link):
        with pytest.raises(errors.AfieldError) as caught:
            await link.open()
        return caught.value

    error = run(transport, work, opened=False, **settings)
    assert error.hint
    return error


def test_a_wrong_name_a_wrong_port_a_wrong_key_a_changed_and_an_unknown_host_key_are_told_apart(
    sshd, ssh_transport, run, hosts, tmp_path
):
    import subprocess

    box = sshd()
    for name in ("stranger", "other_host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    other = " ".join((tmp_path / "other_host.pub").read_text().split()[:2])
    (tmp_path / "changed").write_text(f"# comment\n[{box.address}]:{box.port} {other}\n")
    box.add_host("noport", "Port 1")
    box.add_host("changed", f"UserKnownHostsFile {tmp_path}/changed")
    box.add_host("unknown", f"UserKnownHostsFile {tmp_path}/none")
    assert type(failure(ssh_transport(box, "nosuch.invalid"), run)) is errors.UnknownHost
    assert type(failure(ssh_transport(box, "noport"), run)) is errors.Unreachable
    changed = failure(ssh_transport(box, "changed"), run)
    assert type(changed) is errors.HostKeyChanged
    assert "ssh-keygen" in changed.hint
    assert f"[{box.address}]:{box.port}" in changed.hint
    assert "line 2" in changed.text
    assert type(failure(ssh_transport(box, "unknown"), run)) is errors.HostKeyUnknown
    (box.folder / "authorized_keys").write_text((tmp_path / "stranger.pub").read_text())
    denied = failure(ssh_transport(box), run)
    assert type(denied) is errors.PermissionDenied
    assert "afield keys setup" in denied.hint


def test_a_bad_line_of_the_configuration_is_named(sshd, ssh_transport, run):
    box = sshd()
    box.add_host("bad", "Fooo bar")
    error = failure(ssh_transport(box), run)
    assert type(error) is errors.BadTransport
    assert "fooo" in error.text


def test_a_jump_host_that_cannot_reach_the_place_is_named(sshd, ssh_transport, run):
    box = sshd()
    box.add_host("behind", "ProxyJump box", "Port 1")
    box.add_host("astray", "ProxyJump nosuch.invalid")
    assert "jump host" in failure(ssh_transport(box, "behind"), run).text
    assert type(failure(ssh_transport(box, "astray"), run)) is errors.UnknownHost


def test_a_place_without_python_says_so(sshd, ssh_transport, run, tmp_path):
    (tmp_path / "bin").mkdir()
    error = failure(ssh_transport(sshd(env={"PATH": str(tmp_path / "bin")}), python="nosuchpython"), run)
    assert type(error) is errors.NoPython
    assert "python =" in error.hint


def test_a_place_with_python_2_only_says_so(sshd, ssh_transport, run, tmp_path, monkeypatch):
    from afield.transports import shellwords

    monkeypatch.setattr(shellwords, "USUAL", ("python3", "python"))
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "python"
    fake.write_text('#!/bin/sh\necho "Unknown option: -I" >&2\nexit 2\n')
    fake.chmod(0o755)
    error = failure(ssh_transport(sshd(banner_rc=f"PATH={tmp_path}/bin; export PATH")), run)
    assert type(error) is errors.PythonTooOld
    assert "3.6" in error.text


def test_a_python3_that_cannot_run_is_passed_over(sshd, ssh_transport, run, tmp_path, monkeypatch):
    from afield.transports import shellwords

    monkeypatch.setattr(shellwords, "USUAL", ("python3", "python3.9", os.path.realpath(sys.executable)))
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python3.9"):
        (tmp_path / "bin" / name).write_text("#!/nosuch/interpreter\n")
        (tmp_path / "bin" / name).chmod(0o755)

    async def work(link):
        await link.call("ping")
        return link.reply.executable

    assert run(ssh_transport(sshd(banner_rc=f"PATH={tmp_path}/bin; export PATH")), work) == os.path.realpath(
        sys.executable
    )


SHELLS = [
    path
    for path in ("/usr/bin/fish", "/usr/bin/tcsh", "/usr/bin/zsh", "/bin/dash", "/bin/bash")
    if os.access(path, os.X_OK)
]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_login_shell_reaches_the_agent_and_a_missing_python_is_explained(shell, sshd, ssh_transport, run):
    box = sshd(shell=shell)

    async def work(link):
        return await link.call("ping")

    assert "now" in run(ssh_transport(box), work)
    assert type(failure(ssh_transport(box, python="/nosuch/python3"), run)) is errors.NoPython


def test_an_rc_file_that_prints_does_no_harm(sshd, ssh_transport, run):
    async def work(link):
        return await link.call("ping")

    box = sshd(banner_rc="echo 'Welcome, all is logged.'; echo 'AFIELD? no' >&2; printf 'no newline'")
    assert "now" in run(ssh_transport(box), work)


@pytest.mark.parametrize(
    ("shell", "word"), [("/usr/sbin/nologin", "may not run commands"), ("/bin/false", "login shell")]
)
def test_an_account_without_a_shell_is_named(sshd, ssh_transport, run, shell, word):
    error = failure(ssh_transport(sshd(shell=shell)), run)
    assert type(error) is errors.BadShell
    assert word in error.text


def test_an_rc_file_that_never_ends_runs_into_the_patience(sshd, ssh_transport, run):
    transport = ssh_transport(sshd(banner_rc="echo 'Choose: 1) 2)'; sleep 30"))
    transport.patience = 1.5
    error = failure(transport, run)
    assert type(error) is errors.LinkTimeout
    assert "login shell" in error.hint


# -- questions


def test_an_unknown_host_key_is_asked_about_and_remembered(sshd, ssh_transport, run, tmp_path):
    box = sshd()
    box.add_host("new", f"UserKnownHostsFile {tmp_path}/known", "StrictHostKeyChecking ask")
    asked = []

    async def ask(prompt, secret):
        asked.append((prompt, secret))
        return "yes"

    async def work(link):
        return await link.call("ping")

    assert "now" in run(ssh_transport(box, "new"), work, ask=ask)
    assert len(asked) == 1
    assert "fingerprint" in asked[0][0]
    assert asked[0][1] is False
    assert str(box.port) in (tmp_path / "known").read_text()


def test_a_passphrase_is_asked_for_and_a_given_up_question_ends_the_dials(sshd, ssh_transport, run, tmp_path):
    import subprocess

    box = sshd()
    key = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", str(key)], check=True)
    (box.folder / "authorized_keys").write_text((tmp_path / "locked.pub").read_text())
    box.key.unlink()
    key.rename(box.key)
    (tmp_path / "locked.pub").replace(box.folder / "key.pub")
    asked = []

    async def ask(prompt, secret):
        asked.append((prompt, secret))
        return "open sesame"

    async def give_up(_prompt, _secret):
        raise errors.Cancelled("no")

    async def work(link):
        return await link.call("ping")

    assert "now" in run(ssh_transport(box), work, ask=ask)
    assert asked
    assert asked[0][1] is True
    assert type(failure(ssh_transport(box), run, ask=give_up)) is errors.Cancelled


def test_a_slow_answer_does_not_run_into_the_patience(sshd, ssh_transport, run, tmp_path):
    box = sshd()
    box.add_host("new", f"UserKnownHostsFile {tmp_path}/known", "StrictHostKeyChecking ask")
    transport = ssh_transport(box, "new")
    transport.patience = 1.5

    async def ask(_prompt, _secret):
        await asyncio.sleep(2.5)
        return "yes"

    async def work(link):
        return await link.call("ping")

    assert "now" in run(transport, work, ask=ask)


def test_the_dial_of_a_user_at_ctrl_c_lives_on(sshd, ssh_transport, run):
    """ssh is in a session of its own: an interrupt of the terminal's process group does not reach it."""

    async def work(link):
        assert os.getsid(link.pid) == link.pid
        return await link.call("ping")

    run(ssh_transport(sshd()), work)


def test_no_process_of_ours_is_left_after_a_close(sshd, ssh_transport, run):
    box = sshd()

    async def work(link):
        return link.pid

    pid = run(ssh_transport(box), work)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        pytest.fail("ssh is still there")
