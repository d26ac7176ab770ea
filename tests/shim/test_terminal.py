"""Either shim on a real terminal: raw exactly while the program has a pty, given back on every way out, sizes, notices, stops."""

import os
import select
import signal
import struct
import subprocess
import sys
import termios
import tty

import pytest

from afield.shim import client

# A shell in small: a session on the terminal with the shim as its foreground job; tells when the job stops, continues it on a line.
_JOB_SHELL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
tell, wait = int(sys.argv[1]), int(sys.argv[2])
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[3], sys.argv[3:])
while True:
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        os.write(tell, b"end %d\\n" % status)
        break
    os.tcsetpgrp(0, os.getpgrp())
    os.write(tell, b"stopped %d\\n" % child)
    os.read(wait, 1)
    os.tcsetpgrp(0, child)
    os.kill(-child, signal.SIGCONT)
"""


def local_flags(fd):
    return termios.tcgetattr(fd)[3]


def is_raw(fd):
    return not local_flags(fd) & (termios.ECHO | termios.ICANON | termios.ISIG)


def read_until(fd, wanted):
    data = b""
    while wanted not in data:
        assert select.select([fd], [], [], 20)[0], data
        data += os.read(fd, 4096)
    return data


def started(daemon):
    connection = daemon.accept()
    request = connection.request()
    connection.start()
    return connection, request


def test_the_request_tells_of_the_terminal(shim, daemon):
    process, master = shim.in_terminal("-i", rows=33, cols=111)
    connection, request = started(daemon)
    assert (request["flags"], request["rows"], request["cols"]) == ("012", "33", "111")
    connection.exit(0)
    assert process.wait(20) == 0
    os.close(master)


def without_echo(fd):
    mode = termios.tcgetattr(fd)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def without_returns(fd):
    mode = termios.tcgetattr(fd)
    mode[1] &= ~termios.ONLCR
    termios.tcsetattr(fd, termios.TCSANOW, mode)


@pytest.mark.parametrize(
    ("set_modes", "flags"), [(without_echo, "012e"), (without_returns, "012l"), (tty.setraw, "012el")]
)
def test_the_request_tells_what_the_terminal_does_not_do(shim, daemon, set_modes, flags):
    process, master = shim.in_terminal(set_modes=set_modes)
    connection, request = started(daemon)
    assert request["flags"] == flags
    connection.exit(0)
    assert process.wait(20) == 0
    os.close(master)


def test_keys_pass_as_they_are_and_the_terminal_comes_back(shim, daemon):
    process, master = shim.in_terminal()
    before = termios.tcgetattr(master)
    connection, _ = started(daemon)
    connection.send(b"o", b"ready\r\n")
    read_until(master, b"ready\r\n")
    assert is_raw(master)
    os.write(master, b"\x03\x1a\x04\x11\r")  # Ctrl-C, Ctrl-Z, Ctrl-D, Ctrl-Q, Enter
    got = b""
    while len(got) < 5:
        got += connection.expect(b"i")
    assert got == b"\x03\x1a\x04\x11\r"
    connection.exit(9)
    assert process.wait(20) == 9
    assert termios.tcgetattr(master) == before
    os.close(master)


@pytest.mark.parametrize("way", ["exit", "signal", "error", "garbage", "lost"])
def test_the_terminal_comes_back_on_every_way_out(shim, daemon, way):
    shim.configure([])
    process, master = shim.in_terminal()
    before = termios.tcgetattr(master)
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    assert is_raw(master)
    if way == "exit":
        connection.exit(0)
    elif way == "signal":
        connection.exit(-signal.SIGTERM)
    elif way == "error":
        connection.send(b"E", b"\x01link lost\nhint: look")
        assert b"link lost\r\nhint: look\r\n" in read_until(master, b"look\r\n")
    elif way == "garbage":
        connection.sock.sendall(b"garbage")
    else:
        daemon.vanish()
        daemon.connections.clear()
        while is_raw(master):
            select.select([], [], [], 0.01)
        process.send_signal(signal.SIGINT)
    process.wait(20)
    assert termios.tcgetattr(master) == before
    os.close(master)


def test_raw_again_after_a_resume(shim, daemon):
    process, master = shim.in_terminal()
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    daemon.vanish()
    daemon.connections.clear()
    daemon.listen()
    again = daemon.accept()
    again.expect(b"T")
    again.start()
    again.send(b"o", b"back")
    read_until(master, b"back")
    os.write(master, b"\x03")
    assert again.expect(b"i") == b"\x03"
    assert is_raw(master)
    again.exit(0)
    assert process.wait(20) == 0
    os.close(master)


def test_a_new_window_size_is_told(shim, daemon):
    import fcntl

    process, master = shim.in_terminal()
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    assert struct.unpack("<HH", connection.expect(b"w")) == (50, 200)
    connection.exit(0)
    assert process.wait(20) == 0
    os.close(master)


def test_notices_are_shown(shim, daemon):
    process, master = shim.in_terminal()
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    connection.send(b"n", b"link lost, trying again")
    assert read_until(master, b"again\r\n").endswith(b"link lost, trying again\r\n")
    connection.exit(0)
    assert process.wait(20) == 0
    os.close(master)


def test_not_raw_when_a_stream_is_elsewhere(shim, daemon):
    """Then the program has pipes, and the terminal's own editing is what makes input() usable."""
    master, slave = os.openpty()
    process = shim.popen(stdin=slave, stdout=subprocess.PIPE)
    connection, request = started(daemon)
    assert request["flags"] == "0"
    connection.send(b"o", b"ready")
    assert process.stdout.read(5) == b"ready"
    assert not is_raw(master)
    os.write(master, b"line\n")
    assert connection.expect(b"i") == b"line\n"
    connection.exit(0)
    assert process.wait(20) == 0
    os.close(slave)
    os.close(master)


def test_hangup_of_the_terminal_is_told(shim, daemon):
    process, master = shim.in_terminal()
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    os.close(master)
    frames = {connection.frame()}
    while not {(b"s", b"\1"), (b"I", b"")} <= frames:
        frames.add(connection.frame())
    connection.exit(-signal.SIGHUP)
    assert process.wait(20) == -signal.SIGHUP


def test_a_stop_gives_the_terminal_back_and_a_continue_takes_it(shim, daemon):
    master, slave = os.openpty()
    before = termios.tcgetattr(master)
    tell_read, tell = os.pipe()
    wait, wait_write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", _JOB_SHELL, str(tell), str(wait), shim.path],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        pass_fds=(tell, wait),
    )
    shim.started.append(process)
    for fd in (slave, tell, wait):
        os.close(fd)
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    assert is_raw(master)
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        os.kill(int(file.read().split()[0]), signal.SIGTSTP)
    assert connection.expect(b"s") == bytes([19])
    assert read_until(tell_read, b"\n").startswith(b"stopped ")
    assert termios.tcgetattr(master) == before
    os.write(wait_write, b"x")
    assert {connection.frame()[0], connection.frame()[0]} == {b"s", b"w"}
    os.write(master, b"\x03")
    assert connection.expect(b"i") == b"\x03"
    assert is_raw(master)
    connection.exit(3)
    assert read_until(tell_read, b"\n") == b"end %d\n" % (3 << 8)
    assert process.wait(20) == 0
    for fd in (master, tell_read, wait_write):
        os.close(fd)


def test_a_background_job_leaves_the_terminal_alone(shim, daemon):
    """Reading or changing it would stop the job; a local program that does neither just runs."""
    master, slave = os.openpty()
    before = termios.tcgetattr(master)
    code = "import fcntl,os,subprocess,sys,termios; fcntl.ioctl(0,termios.TIOCSCTTY,0); sys.exit(subprocess.run(sys.argv[1:],process_group=0).returncode)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, shim.path], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    shim.started.append(process)
    os.close(slave)
    connection, _ = started(daemon)
    connection.send(b"o", b"ready")
    read_until(master, b"ready")
    os.write(master, b"for the shell\n")
    assert not select.select([connection.sock], [], [], 0.3)[0]
    assert termios.tcgetattr(master) == before
    connection.exit(6)
    assert process.wait(20) == 6
    os.close(master)


@pytest.mark.parametrize("shim", ["python"], indirect=True)
def test_the_command_line_uses_the_same_relay(shim, daemon):
    """`afield run` imports what `.afield/bin/python` runs."""
    code = (
        "import sys; from afield.shim import client;"
        "s = client.relay(sys.argv[1], 'run', ['nvidia-smi', b'-L'], project='/p', machine='m', cwd='/p', env={b'A': b'1'}, barrier=False);"
        "print('status', s)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, daemon.path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    shim.started.append(process)
    connection, request = started(daemon)
    assert (request["mode"], request["argv"], request["env"]) == ("run", [b"nvidia-smi", b"-L"], {b"A": b"1"})
    assert (request["project"], request["machine"], request["cwd"], request["flags"]) == ("/p", "m", "/p", "n")
    connection.send(b"o", b"GPU 0\n")
    connection.exit(-2)
    assert process.communicate(timeout=20)[0] == b"GPU 0\nstatus -2\n"


def test_an_argument_with_nul_is_refused():
    with pytest.raises(client.RelayError, match="NUL"):
        client.request("run", ["a\0b"])
