"""Terminals through a real agent."""

import pytest

TTY = {"rows": 33, "cols": 101, "term": "vt220"}


def test_terminal_has_size_name_and_is_the_controlling_one(agent):
    stream = agent.run("sh", "-c", "stty size; echo $TERM; tty < /dev/tty >/dev/null && echo control", tty=TTY)
    assert bytes(stream.out).split() == [b"33", b"101", b"vt220", b"control"]
    assert stream.status == 0


def test_terminal_echoes_and_returns_unless_told_otherwise(agent):
    usual = agent.run("stty", "-a", tty=TTY)
    assert {b"echo", b"onlcr"} <= set(bytes(usual.out).replace(b";", b"").split())
    quiet = agent.run("stty", "-a", tty={**TTY, "echo": False, "returns": False})
    assert {b"-echo", b"-onlcr", b"icanon", b"isig"} <= set(bytes(quiet.out).replace(b";", b"").split())
    assert b"\r" not in quiet.out


def test_resize_reaches_the_program_in_front(agent, env_python):
    code = (
        "import os, signal, sys\n"
        "def resized(*_): print('size', *os.get_terminal_size(1)[::-1], flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGWINCH, resized); print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    stream = agent.process_stream(env_python, "-c", code, tty=TTY)
    agent.wait(lambda: b"ready" in stream.out)
    stream.message({"resize": [50, 60]})
    stream.wait_closed()
    assert b"size 50 60" in stream.out


def test_control_c_interrupts_the_program_in_front(agent):
    stream = agent.process_stream(
        "sh", "-c", "echo ready; exec sleep 60", tty=TTY
    )  # dash itself loses a signal in its fork
    agent.wait(lambda: b"ready" in stream.out)
    stream.send(b"\x03")
    stream.wait_closed()
    assert stream.status == -2


def test_interactive_shell_outlives_control_c(agent):
    stream = agent.process_stream("sh", "-i", tty=TTY, env={"PS1": b"% "})
    agent.wait(lambda: b"% " in stream.out)
    stream.send(b"""sh -c 'echo run"n"ing; exec sleep 60'\n""")
    agent.wait(lambda: b"running" in stream.out)  # so the child is in front already
    stream.send(b"\x03")
    stream.send(b"echo st$((1+1))ill\n")
    agent.wait(lambda: b"st2ill" in stream.out)
    stream.send(b"exit 7\n")
    stream.wait_closed()
    assert stream.status == 7


def test_signal_message_reaches_the_group_in_front(agent):
    stream = agent.process_stream("bash", "--norc", "-i", tty=TTY, env={"PS1": b"% ", "HISTFILE": b""})
    agent.wait(lambda: b"% " in stream.out)
    stream.send(b"""sh -c 'echo run"n"ing; exec sleep 61' || echo co$((1+1))de $?\n""")
    agent.wait(lambda: b"running" in stream.out)
    stream.message({"signal": 2})
    stream.send(b"exit 6\n")
    stream.wait_closed()
    assert stream.status == 6  # the shell was not interrupted, and the sleep was


def test_end_of_input_is_typed_as_end_of_file(agent):
    stream = agent.process_stream("cat", tty=TTY)
    stream.send(b"line\n")
    stream.end()
    stream.wait_closed()
    assert stream.status == 0


def test_all_output_before_the_end_of_a_terminal_arrives(agent):
    stream = agent.run("sh", "-c", "stty -opost; seq 1 50000", tty=TTY)
    assert bytes(stream.out) == b"".join(b"%d\n" % n for n in range(1, 50001))


@pytest.mark.parametrize("size", [{}, {"rows": 0, "cols": -1}, {"rows": 70000, "cols": "x"}])
def test_odd_sizes_become_the_usual_one(agent, size):
    assert bytes(agent.run("stty", "size", tty=size).out).split() == [b"24", b"80"]


def test_login_shell_is_a_login_shell_on_a_terminal(agent):
    stream = agent.process_stream(login=True, tty=TTY, env={"PS1": b"% "})
    stream.send(b"echo name:$0; exit 3\n")
    stream.wait_closed()
    assert b"name:-" in stream.out
    assert stream.status == 3


def test_closing_the_stream_of_a_terminal_ends_what_runs_in_it(agent, alive, wait_until):
    stream = agent.process_stream("sh", "-c", "echo ready; sleep 60", tty=TTY)
    pid = stream.wait_message("started")["pid"]
    agent.wait(lambda: b"ready" in stream.out)
    stream.close()
    wait_until(lambda: not alive(pid))
