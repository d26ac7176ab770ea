"""Runs end to end over local://: streams, status, signals, terminals, and what survives what."""

import contextlib
import hashlib
import os
import signal
import struct
import sys
import threading

import pytest

PY = sys.executable


@pytest.fixture
def linked(sandbox):
    """A sandbox whose project's link is up (without sync): runs carry the flag n."""
    folder = sandbox.project()
    with sandbox.connect() as client:
        client.request("connect", {"project": folder}, timeout=60)
    sandbox.folder_here = folder
    return sandbox


def run(sandbox, argv, stdin=b"", **more):
    """Run to the end; gives (status, stdout, stderr)."""
    with sandbox.raw() as client:
        client.request(sandbox.folder_here, argv, flags="n", **more)
        with contextlib.suppress(
            BrokenPipeError
        ):  # a program that ended already wants no input; its end can still be read
            if stdin:
                client.send(b"i", stdin)
            client.send(b"I")
        status = client.finish()
        return status, client.out, client.err


def test_streams_stay_apart_and_the_status_is_exact(linked):
    assert run(linked, ["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in\0\xff") == (3, b"in\0\xff", b"err\n")


def test_death_by_signal_is_minus_the_signal(linked):
    assert run(linked, ["sh", "-c", "kill -9 $$"])[0] == -9


@pytest.mark.parametrize(("argv", "code"), [(["no-such-program"], 127), (["/"], 126)])
def test_what_cannot_be_started_has_the_status_of_a_shell(linked, argv, code):
    with linked.raw() as client:
        client.request(linked.folder_here, argv, flags="n")
        _, payload = client.until(b"E")
        assert payload[0] == code
        assert argv[0].encode() in payload


def test_python_runs_in_the_projects_folder_with_mapped_paths(linked):
    with open(os.path.join(linked.folder_here, "afield.toml"), "a", encoding="utf-8") as file:
        file.write('way = "translated"\n')
    code = "import os, sys; print(os.getcwd()); print(sys.argv[1])"
    argv = ["-c", code, linked.folder_here + "/data.csv"]
    status, out, err = run(linked, argv, mode="python")
    there = os.path.join(linked.place, "work", "proj")
    assert (status, err) == (0, b"")
    assert out.decode().split() == [there, there + "/data.csv"]


def test_a_large_stdin_comes_through_whole(linked):
    data = os.urandom(3 << 20)
    with linked.raw() as client:
        client.request(linked.folder_here, ["sha256sum"], flags="n")
        client.until(b"c")
        sent = 0
        while sent < len(data):
            while sent >= client.credit:
                client.until(b"c")
            piece = data[sent : min(client.credit, sent + 65536)]
            client.send(b"i", piece)
            sent += len(piece)
        client.send(b"I")
        assert client.finish() == 0
        assert client.out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_stdin_past_the_credit_is_refused(linked):
    with linked.raw() as client:
        client.request(linked.folder_here, ["sleep", "60"], flags="n")
        client.until(b"c")
        for _ in range(2):
            client.send(b"i", bytes(1 << 20))
        _, payload = client.until(b"E")
        assert b"credit" in payload


def test_output_waits_for_the_client_and_then_comes_whole(linked, wait):
    with linked.raw() as client:
        client.ack = False
        client.request(linked.folder_here, ["sh", "-c", "head -c 6000000 /dev/zero; echo done >&2"], flags="n")
        while len(client.out) < 1 << 20:
            client.until(b"o")
        client.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                client.next()
        assert len(client.out) == 1 << 20
        client.sock.settimeout(30)
        client.ack = True
        client.send(b"a", struct.pack("<QQ", len(client.out), len(client.err)))
        assert client.finish() == 0
        assert (len(client.out), client.err) == (6000000, b"done\n")


def test_signals_reach_the_program_and_its_own_status_comes_back(linked):
    with linked.raw() as client:
        client.request(
            linked.folder_here, ["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"], flags="n"
        )
        client.until(b"o")
        client.send(b"s", bytes([signal.SIGTERM]))
        assert client.finish() == 5


def test_a_terminal_has_its_size_and_the_type_of_here(linked):
    with linked.raw() as client:
        client.request(linked.folder_here, ["sh", "-c", "stty size; echo $TERM; read x; stty size"], flags="012n")
        while b"xterm" not in client.out:
            client.until(b"o")
        client.send(b"w", struct.pack("<HH", 50, 132))
        client.send(b"i", b"\n")
        assert client.finish() == 0
        assert b"24 80" in client.out
        assert b"50 132" in client.out


def test_a_client_that_dies_takes_its_program_along(linked, wait, is_alive):
    with linked.raw() as client:
        client.request(linked.folder_here, ["sh", "-c", "echo $$; sleep 600"], flags="n")
        client.until(b"o")
        pid = int(client.out)
        assert is_alive(pid)
    wait(lambda: not is_alive(pid), "the program to be hung up")


@pytest.mark.parametrize("last_word", [b"", bytes([signal.SIGHUP])])
def test_a_python_whose_shim_was_killed_outright_gets_no_last_word_either(linked, wait, is_alive, last_word):
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGHUP, lambda *_: (open('bye', 'w').close(), os._exit(0)))\n"
        "print(os.getpid(), flush=True)\nwhile True: time.sleep(60)"
    )
    with linked.raw() as client:
        client.request(linked.folder_here, ["-c", code], mode="python", flags="n")
        client.until(b"o")
        pid = int(client.out)
        if last_word:
            client.send(b"s", last_word)
    wait(lambda: not is_alive(pid), "the end of the program")
    assert os.path.exists(os.path.join(linked.place, "work", "proj", "bye")) == bool(last_word)


def test_a_run_before_the_link_is_answered_not_ready(sandbox):
    folder = sandbox.project()
    sandbox.connect().close()
    with sandbox.raw() as client:
        client.request(folder, ["true"], flags="n")
        assert client.until(b"U") == (b"U", b"")


def test_a_run_without_a_project_is_refused_with_a_hint(sandbox):
    sandbox.connect().close()
    with sandbox.raw() as client:
        client.request("", ["true"], cwd="/")
        _, payload = client.until(b"E")
        assert b"hint" in payload


def test_a_second_request_on_one_connection_is_refused(linked):
    with linked.raw() as client:
        client.request(linked.folder_here, ["sleep", "60"], flags="n")
        client.until(b"c")
        client.send(b"R", b"1\0")
        _, payload = client.until(b"E")
        assert b"second" in payload


def take_up(sandbox, old, folder, *, wait):
    """Come again as a client does whose daemon vanished."""

    def attempt():
        with sandbox.connect() as control:
            control.request("connect", {"project": folder}, timeout=60)
        client = sandbox.raw()
        client.resume(folder, old.id, old.credit, len(old.out), len(old.err))
        client.out, client.err, client.id = old.out, old.err, old.id
        kind, payload = client.next()
        if kind == b"U":
            client.sock.close()
            return None
        if (kind, payload) != (b"S", old.id):
            client.sock.close()
            raise AssertionError((kind, payload))
        return client

    return wait(attempt, "the run to be taken up")


def test_output_is_exact_over_a_killed_daemon(linked, wait):
    code = "import sys, time\nfor n in range(60000):\n print(n)\n if n % 3000 == 0: sys.stdout.flush(); time.sleep(0.02)\nsys.exit(7)"
    expected = b"".join(b"%d\n" % number for number in range(60000))
    with linked.raw() as first:
        first.request(linked.folder_here, ["-c", code], mode="python", flags="n")
        while len(first.out) < 30000:
            first.until(b"o")
        linked.kill_daemon()
        while first.next()[0]:
            pass
    with take_up(linked, first, linked.folder_here, wait=wait) as second:
        assert second.finish() == 7
        assert second.out == expected


def test_input_is_exact_over_a_killed_daemon(linked, wait):
    data = os.urandom(2_500_000)
    assert run(linked, ["true"])[0] == 0  # the first run of a link asks for more before its program is there
    with linked.raw() as first:
        first.request(linked.folder_here, ["sh", "-c", "sleep 1; sha256sum"], flags="n")
        first.until(b"c")
        first.send(b"i", data[: 1 << 20])
        linked.kill_daemon()
        while first.next()[0]:
            pass
    with take_up(linked, first, linked.folder_here, wait=wait) as second:
        second.until(b"c")
        sent = second.credit - (1 << 20)
        assert 0 <= sent <= 1 << 20
        while sent < len(data):
            while sent >= second.credit:
                second.until(b"c")
            piece = data[sent : min(second.credit, sent + 65536)]
            second.send(b"i", piece)
            sent += len(piece)
        second.send(b"I")
        assert second.finish() == 0
        assert second.out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_run_that_ended_meanwhile_gives_its_output_and_status(linked, wait, tmp_path):
    mark = str(tmp_path / "over")
    with linked.raw() as first:
        first.request(linked.folder_here, ["sh", "-c", f"echo one; read x; echo two; touch {mark}; exit 9"], flags="n")
        first.until(b"o")
        first.send(b"i", b"\n")
        wait(lambda: os.path.exists(mark), "the program to go on")
        linked.kill_daemon()
        while first.next()[0]:
            pass
    if not first.out.endswith(b"two\n"):
        with take_up(linked, first, linked.folder_here, wait=wait) as second:
            assert second.finish() == 9
            assert second.out == b"one\ntwo\n"


def test_a_run_that_nobody_knows_is_refused(linked):
    with linked.raw() as client:
        client.resume(linked.folder_here, bytes(16), 1 << 20, 0, 0)
        _, payload = client.until(b"E")
        assert payload[1:]


def test_a_run_lives_through_a_killed_link(linked, wait):
    # A second daemon finds the agent alive: its link is a bridge to it, which can be killed alone.
    linked.kill_daemon()
    with linked.connect() as control:
        control.request("connect", {"project": linked.folder_here}, timeout=60)
    with linked.raw() as client:
        client.request(linked.folder_here, ["sh", "-c", "echo one; read x; echo $x; exit 4"], flags="n")
        client.until(b"o")
        with linked.connect() as control:
            (place,) = control.request("status")["places"].values()
        os.kill(place["pid"], signal.SIGKILL)
        client.send(b"i", b"two\n")
        assert client.finish() == 4
        assert client.out == b"one\ntwo\n"


def test_a_killed_agent_is_told_as_what_it_is(linked, wait):
    with linked.raw() as first:
        first.request(linked.folder_here, ["sh", "-c", "echo one; read x"], flags="n")
        first.until(b"o")
        with linked.connect() as control:
            (place,) = control.request("status")["places"].values()
        os.kill(place["agent"]["pid"], signal.SIGKILL)
        while first.next()[0]:
            pass

    def attempt():
        with linked.connect() as control:
            control.request("connect", {"project": linked.folder_here}, timeout=60)
        with linked.raw() as client:
            client.resume(linked.folder_here, first.id, first.credit, len(first.out), len(first.err))
            kind, payload = client.next()
            return payload if kind == b"E" else None

    told = wait(attempt, "an answer about the run")
    assert told[0] == 255
    assert b"restarted" in told


def test_many_runs_at_once_each_get_their_own(linked):
    results = {}

    def one(number):
        results[number] = run(linked, ["sh", "-c", f"echo {number}; exit {number}"])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {number: (number, f"{number}\n".encode(), b"") for number in range(12)}


def test_the_status_lists_what_runs(linked, wait):
    with linked.raw() as client, linked.connect() as control:
        client.request(linked.folder_here, ["sh", "-c", "echo x; sleep 600"], flags="n")
        client.until(b"o")
        (shown,) = control.request("status")["runs"].values()
        assert shown["label"].startswith("sh -c")
        assert shown["project"] == linked.folder_here
        (there,) = [
            row for row in control.request("processes", {"project": linked.folder_here}) if row["id"] == client.id.hex()
        ]
        control.request("kill", {"project": linked.folder_here, "id": there["id"], "signal": signal.SIGKILL})
        assert client.finish() == -signal.SIGKILL
        wait(lambda: control.request("status")["runs"] == {}, "the run to be gone from the state")


def test_a_login_shell_runs_what_is_typed(linked):
    with linked.raw() as client:
        client.request(linked.folder_here, [], mode="shell", flags="012n", env={"LANG": "C.UTF-8"})
        client.until(b"c")
        client.send(b"i", b"echo $((40 + 2))\nexit 6\n")
        assert client.finish() == 6
        assert b"42" in client.out


def test_a_run_lives_through_a_clean_end_of_the_daemon(linked, wait, is_alive):
    with linked.raw() as first:
        first.request(linked.folder_here, ["sh", "-c", "echo one; read x; echo $x; exit 4"], flags="n")
        first.until(b"o")
        pid = linked.pid()
        os.kill(pid, signal.SIGTERM)
        while first.next()[0]:
            pass
        wait(lambda: not is_alive(pid), "the daemon to end")
    with take_up(linked, first, linked.folder_here, wait=wait) as second:
        second.send(b"i", b"two\n")
        assert second.finish() == 4
        assert second.out == b"one\ntwo\n"


def test_what_a_slow_client_has_not_read_outlives_the_daemon_and_the_program(linked, wait, tmp_path):
    mark = str(tmp_path / "over")
    with linked.raw() as first:
        first.ack = False
        first.request(linked.folder_here, ["sh", "-c", f"head -c 900000 /dev/zero; touch {mark}; exit 3"], flags="n")
        first.until(b"o")
        wait(lambda: os.path.exists(mark), "the program to end")
        with linked.connect() as control:
            wait(
                lambda: control.request("processes", {"project": linked.folder_here})[0]["state"] != "running",
                "its end to be known",
            )
        linked.kill_daemon()
    with take_up(linked, first, linked.folder_here, wait=wait) as second:
        assert second.finish() == 3
        assert len(second.out) == 900000
