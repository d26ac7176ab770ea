"""Programs through a real agent: arguments, streams, signals, exits, back-pressure."""

import hashlib
import os
import signal

import pytest

from afield.errors import CommandNotExecutable, CommandNotFound, NoSuchFolder, ProtocolError

PRINT = "import sys, os; sys.stdout.buffer.write({}); sys.stdout.flush()"


def test_output_errors_and_exit_code_come_apart(agent):
    stream = agent.run("sh", "-c", "echo out; echo err >&2; exit 9")
    assert (bytes(stream.out), bytes(stream.err), stream.status) == (b"out\n", b"err\n", 9)
    assert stream.ended
    assert list(stream.messages[0]) == ["started"]


def test_arguments_are_bytes_and_arrive_unchanged(agent):
    words = [b"a b", b"", b"'\"$x`!\\", b"\xff\xfe", "ü\n".encode()]
    stream = agent.run("printf", r"%s\0", *words)
    assert bytes(stream.out) == b"".join(word + b"\0" for word in words)


def test_environment_is_the_logins_with_changes(start):
    agent = start(env={"LEAVE": "me", "GONE": "x"})
    stream = agent.run("env", env={"NEW\xe9": b"\xff", "LEAVE": b"changed"}, unset=["GONE"])
    lines = bytes(stream.out).split(b"\n")
    assert b"NEW\xe9=\xff" in lines
    assert b"LEAVE=changed" in lines
    assert not [line for line in lines if line.startswith(b"GONE=")]


def test_program_is_searched_in_the_path_of_the_child(agent, home):
    folder = os.path.join(home, "bin")
    os.mkdir(folder)
    script = os.path.join(folder, "special")
    with open(script, "w") as file:
        file.write("#!/bin/sh\necho found\n")
    os.chmod(script, 0o755)
    assert bytes(agent.run("special", env={"PATH": os.fsencode(folder) + b":/usr/bin:/bin"}).out) == b"found\n"
    with pytest.raises(CommandNotFound):
        agent.run("special")


def test_script_without_first_line_runs_as_a_shell_would(agent, home):
    script = os.path.join(home, "plain")
    with open(script, "w") as file:
        file.write('echo "plain $1"\n')
    os.chmod(script, 0o755)
    assert bytes(agent.run(script, "x").out) == b"plain x\n"


def test_working_folder_is_home_given_or_made(start, home):
    agent = start(env={"HOME": home})
    assert bytes(agent.run("pwd").out) == os.fsencode(home) + b"\n"
    assert bytes(agent.run("pwd", cwd=b"/usr").out) == b"/usr\n"
    assert bytes(agent.run("pwd", cwd=b"~/new/deep", mkdir=True).out) == os.fsencode(home) + b"/new/deep\n"
    with pytest.raises(NoSuchFolder, match="missing"):
        agent.run("pwd", cwd=b"~/missing")


@pytest.mark.parametrize(
    ("argv", "error", "code"),
    [
        (["no-such-command-anywhere"], CommandNotFound, 127),
        (["/no/such/file"], CommandNotFound, 127),
        (["/etc/passwd"], CommandNotExecutable, 126),
        (["/usr"], CommandNotExecutable, 126),
    ],
)
def test_failing_exec_names_the_reason(agent, argv, error, code):
    with pytest.raises(error) as caught:
        agent.run(*argv)
    assert caught.value.exit == code
    assert argv[0] in caught.value.text
    assert agent.call("processes") == []


def test_missing_interpreter_is_told_from_a_missing_program(agent, home):
    script = os.path.join(home, "bad")
    with open(script, "w") as file:
        file.write("#!/no/such/interpreter\n")
    os.chmod(script, 0o755)
    with pytest.raises(CommandNotExecutable, match="interpreter"):
        agent.run(script)


def test_as_many_arguments_as_the_system_takes_arrive_and_more_is_told(agent):
    words = ["x" * 100_000] * 15
    assert bytes(agent.run("sh", "-c", "echo $#", "sh", *words).out) == b"15\n"
    # 6 MiB at the most, whatever the stack may hold (execve(2)).
    with pytest.raises(CommandNotExecutable, match="more than the system there takes"):
        agent.run("sh", "-c", "echo $#", "sh", *words * 5)


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 255", 255), ("kill -TERM $$", -15), ("kill -KILL $$", -9), ("kill -SEGV $$", -11)],
)
def test_exit_is_exact(agent, script, status):
    assert agent.run("sh", "-c", script).status == status


def test_three_megabytes_go_through_cat(agent):
    data = os.urandom(3 << 20)
    stream = agent.process_stream("cat")
    stream.send(data)
    stream.end()
    stream.wait_closed()
    assert bytes(stream.out) == data
    assert stream.status == 0


def test_input_of_a_program_that_does_not_read_is_not_taken_beyond_its_credit(agent):
    stream = agent.process_stream("sleep", "60")
    stream.wait_message("started")
    sent = 0
    while True:  # 1 MiB of pipe, 256 KiB to 4 MiB of credit
        room = agent.link.sendable(stream.id)
        if not room:
            agent.pump(0.3)
            room = agent.link.sendable(stream.id)
            if not room:
                break
        agent.link.send(stream.id, bytes(min(room, 65536)))
        sent += min(room, 65536)
        agent.pump(0)
    assert 256 << 10 <= sent <= 6 << 20
    stream.close()


def test_input_for_a_program_that_closed_it_is_dropped(agent):
    stream = agent.process_stream("sh", "-c", "exec <&-; echo ready; sleep 0.3; echo end")
    agent.wait(lambda: b"ready" in stream.out)
    stream.send(bytes(6 << 20))
    stream.end()
    stream.wait_closed()
    assert bytes(stream.out) == b"ready\nend\n"


def test_program_that_reads_nothing_may_end_with_input_on_its_way(agent):
    stream = agent.process_stream("true")
    stream.send(bytes(1 << 20))
    stream.wait_closed()
    assert stream.status == 0


def test_broken_pipe_kills_a_child_as_it_does_in_a_shell(agent):
    stream = agent.run("sh", "-c", "yes | head -n 1; exit 0")
    assert (bytes(stream.out), bytes(stream.err), stream.status) == (b"y\n", b"", 0)


def test_child_starts_with_default_signals_and_an_empty_mask(agent):
    stream = agent.run("sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status")
    blocked, ignored = (int(line.split(b":")[1], 16) for line in bytes(stream.out).splitlines())
    ours = (
        3 << 31
    )  # signals 32 and 33 are the C library's: its posix_spawn leaves them ignored, and nobody can reset them
    assert (blocked & ~ours, ignored & ~ours) == (0, 0)


def test_child_has_no_descriptor_of_the_agent(agent):
    other = agent.process_stream("cat")
    other.wait_message("started")
    stream = agent.run("sh", "-c", "ls -l /proc/self/fd | sed 's/.* //'; ls /proc/self/fd | wc -l")
    assert bytes(stream.out).split()[-1] == b"4", stream.out  # 0, 1, 2 and the listing
    other.close()


def test_unconsumed_output_stalls_the_program_and_nothing_is_lost(agent, env_python):
    code = "import sys\nfor n in range(120000): sys.stdout.write('%08d' % n * 10 + '\\n')"
    stream = agent.process_stream(env_python, "-c", code)
    stream.hold = True
    stream.end()
    agent.wait(lambda: len(stream.out) >= 256 << 10)
    size = -1
    while size != len(stream.out):
        size = len(stream.out)
        agent.pump(0.3)
    assert not stream.messages[1:], "it cannot have ended"
    assert size <= 5 << 20
    stream.release()
    stream.wait_closed()
    want = b"".join(b"%08d" % n * 10 + b"\n" for n in range(120000))
    assert hashlib.sha256(stream.out).digest() == hashlib.sha256(want).digest()
    assert stream.status == 0


def test_signal_reaches_the_whole_group(agent, alive, wait_until):
    stream = agent.process_stream("sh", "-c", "sleep 60 & echo $!; wait")
    agent.wait(lambda: b"\n" in stream.out)
    grandchild = int(stream.out)
    stream.message({"signal": int(signal.SIGTERM)})
    stream.wait_closed()
    assert stream.status == -15
    wait_until(lambda: not alive(grandchild))


def test_signal_sent_with_the_start_is_not_lost(agent):
    stream = agent.process_stream("sleep", "60")
    stream.message({"signal": 2})
    stream.wait_closed()
    assert stream.status == -2


def test_signal_may_be_handled(agent):
    stream = agent.process_stream("sh", "-c", "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done")
    agent.wait(lambda: b"ready" in stream.out)
    stream.message({"signal": 2})
    stream.wait_closed()
    assert stream.status == 5


def test_message_that_means_nothing_closes_the_stream(agent):
    stream = agent.process_stream("sleep", "60")
    stream.wait_message("started")
    stream.message({"signal": 4000})
    with pytest.raises(ProtocolError):
        stream.wait_closed()
    agent.wait(lambda: agent.call("processes") == [])


def test_grandchild_that_holds_the_pipe_does_not_hold_the_exit(agent):
    stream = agent.process_stream("sh", "-c", "sleep 3 & printf done; exit 4")
    stream.end()
    agent.wait(lambda: stream.closed, patience=2.0)
    assert (bytes(stream.out), stream.status) == (b"done", 4)


def test_output_in_the_pipe_is_not_lost_when_a_grandchild_holds_it(agent):
    code = "sleep 3 & head -c 3000000 /dev/zero; exit 4"
    stream = agent.process_stream("sh", "-c", code)
    stream.hold = True
    agent.wait(lambda: len(stream.out) >= 256 << 10)
    stream.release()
    stream.wait_closed()
    assert (len(stream.out), stream.status) == (3000000, 4)


def test_closing_the_stream_hangs_the_program_up(agent, alive, wait_until):
    stream = agent.process_stream(
        "sh",
        "-c",
        "trap 'echo bye > $OUT; exit' HUP; echo; while :; do sleep 0.05; done",
        env={"OUT": os.fsencode(agent.home) + b"/bye"},
    )
    pid = stream.wait_message("started")["pid"]
    agent.wait(lambda: stream.out)
    stream.close()
    wait_until(lambda: not alive(pid))
    with open(agent.home + "/bye") as file:
        assert file.read() == "bye\n"
    agent.wait(lambda: agent.call("processes") == [])


@pytest.mark.slow
def test_program_that_ignores_the_hangup_is_killed_after_five_seconds(agent, alive, wait_until):
    stream = agent.process_stream("sh", "-c", "trap '' HUP; echo; while :; do sleep 0.1; done")
    pid = stream.wait_message("started")["pid"]
    agent.wait(lambda: stream.out)
    stream.close()
    wait_until(lambda: not alive(pid))
    agent.wait(lambda: agent.call("processes") == [])


def test_many_programs_at_once(agent):
    streams = [agent.process_stream("sh", "-c", f"cat; exit {n}") for n in range(30)]
    for n, stream in enumerate(streams):
        stream.send(b"%d" % n)
        stream.end()
    for n, stream in enumerate(streams):
        stream.wait_closed()
        assert (bytes(stream.out), stream.status) == (b"%d" % n, n)


def test_login_shell_runs_a_command_with_any_argument(agent):
    words = ["a b", "it's", "!x", "back\\slash", "$HOME", "", "*"]
    stream = agent.run("printf", r"%s\n", *words, login=True)
    assert bytes(stream.out).decode().split("\n")[:-1] == words


def test_two_processes_of_one_id_are_refused(agent):
    ident = os.urandom(16)
    first = agent.process_stream("cat", id=ident)
    first.wait_message("started")
    with pytest.raises(ProtocolError, match="id"):
        agent.process_stream("cat", id=ident).wait_closed()
    first.close()
