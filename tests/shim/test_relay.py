"""What a program run through either shim gets and gives: arguments, streams, signals, status; the test plays the daemon."""

import os
import random
import select
import signal
import struct
import subprocess
import threading

import pytest

WINDOW = 1 << 20


def finish(process, data=None):
    out, err = process.communicate(data, timeout=20)
    return process.returncode, out, err


def test_request_tells_all_that_the_place_needs(shim, daemon):
    process = shim.popen("-c", "pass", "a b", b"\xff\n", "", env={"A": "1", "B": "x=y", "TERM": "vt100"})
    request = daemon.accept().request()
    assert request["protocol"] == "1"
    assert request["mode"] == "python"
    assert request["argv0"] == shim.path
    assert (request["project"], request["machine"]) == (shim.project, "gpu")
    assert request["cwd"] == shim.project
    assert request["argv"] == [b"-c", b"pass", b"a b", b"\xff\n", b""]
    assert {name: request["env"][name] for name in (b"A", b"B", b"TERM")} == {
        b"A": b"1",
        b"B": b"x=y",
        b"TERM": b"vt100",
    }
    assert (request["flags"], request["rows"], request["cols"], request["term"]) == ("", "0", "0", "vt100")
    daemon.connections[0].start()
    daemon.connections[0].exit(0)
    assert finish(process) == (0, b"", b"")


def test_an_empty_environment_is_enough(shim, daemon):
    process = shim.popen("x.py", env={})
    request = daemon.accept().request()
    assert set(request["env"]) <= {b"LC_CTYPE"}  # Python's own C locale coercion (PEP 538)
    daemon.connections[0].start()
    daemon.connections[0].exit(3)
    assert finish(process)[0] == 3


def test_pip_is_python_m_pip(shim, daemon):
    process = shim.popen("install", "x", name="pip")
    request = daemon.accept().request()
    assert request["argv"] == [b"-m", b"pip", b"install", b"x"]
    assert request["argv0"] == shim.path
    daemon.connections[0].start()
    daemon.connections[0].exit(0)
    assert finish(process)[0] == 0


@pytest.mark.parametrize("way", ["path", "relative", "link", "other name"])
def test_project_is_found_from_where_the_shim_lies(shim, daemon, folder, way):
    if way == "path":
        process = shim.popen(executable=None, env={"PATH": shim.bin}, cwd="/")
        argv0 = shim.path
    elif way == "relative":
        process = subprocess.Popen(
            [".afield/bin/python"],
            cwd=shim.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        shim.started.append(process)
        argv0 = shim.path
    elif way == "link":
        os.symlink(shim.path, os.path.join(folder, "py"))
        process = subprocess.Popen(
            ["py"],
            executable=os.path.join(folder, "py"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        shim.started.append(process)
        argv0 = shim.path
    else:
        process = shim.popen(name="python3.12")
        argv0 = os.path.join(shim.bin, "python3.12")
    request = daemon.accept().request()
    assert (request["argv0"], request["project"]) == (argv0, shim.project)
    daemon.connections[0].start()
    daemon.connections[0].exit(0)
    assert finish(process)[0] == 0


def test_a_working_folder_that_is_gone_goes_by_its_name(shim, daemon, folder):
    gone = os.path.join(folder, "gone")
    os.mkdir(gone)
    script = 'rmdir "$PWD"; exec "$0"'
    process = subprocess.Popen(
        ["sh", "-c", script, shim.path],
        cwd=gone,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shim.started.append(process)
    assert daemon.accept().request()["cwd"] == gone
    daemon.connections[0].start()
    daemon.connections[0].exit(0)
    assert finish(process)[0] == 0


def test_streams_stay_apart_and_the_status_is_the_same(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"o", b"out\0\xff")
    connection.send(b"e", b"err")
    connection.send(b"o", b"")
    connection.exit(41)
    assert finish(process) == (41, b"out\0\xff", b"err")


def test_frames_cut_anywhere_are_the_same_frames(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    stream = (
        b"S"
        + struct.pack("<I", 16)
        + b"R" * 16
        + b"o"
        + struct.pack("<I", 5)
        + b"hello"
        + b"x"
        + struct.pack("<Ii", 4, 7)
    )
    for i in range(len(stream)):
        connection.sock.sendall(stream[i : i + 1])
    assert finish(process) == (7, b"hello", b"")


def test_stdin_arrives_whole_and_ends(shim, daemon):
    data = random.Random(1).randbytes(3_500_000)
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    writer = threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close()))
    writer.start()
    assert connection.input() == data
    writer.join()
    process.stdin = None
    connection.exit(0)
    assert finish(process)[0] == 0


def test_stdin_stops_at_the_credit(shim, daemon, folder):
    path = os.path.join(folder, "input")
    with open(path, "wb") as file:
        file.write(b"x" * (WINDOW + 100))
    with open(path, "rb") as file:
        process = shim.popen(stdin=file)
    connection = daemon.accept()
    connection.request()
    connection.start()
    taken = 0
    while taken < WINDOW:
        taken += len(connection.expect(b"i"))
    assert taken == WINDOW
    assert not select.select([connection.sock], [], [], 0.2)[0], "more than the credit was sent"
    connection.credit(50)
    assert len(connection.expect(b"i")) == 50
    connection.credit(101)  # the end is seen by one more read, which needs credit too
    assert len(connection.expect(b"i")) == 50
    connection.expect(b"I")
    connection.exit(0)
    assert finish(process)[0] == 0


def test_no_stdin_is_read_before_the_start(shim, daemon):
    """After U it belongs to the fallback."""
    shim.configure(["/bin/sh", "-c", "cat"])
    process = shim.popen()
    process.stdin.write(b"for the fallback")
    process.stdin.close()
    process.stdin = None
    connection = daemon.accept()
    connection.request()
    connection.send(b"U")
    assert finish(process) == (0, b"for the fallback", b"")


@pytest.mark.parametrize("kind", ["pipe", "file", "socket"])
def test_much_output_is_acknowledged_and_complete(shim, daemon, folder, kind):
    import socket

    data = random.Random(2).randbytes(5_000_000)
    path = os.path.join(folder, "output")
    theirs = mine = None
    if kind == "pipe":
        process = shim.popen()
    elif kind == "file":
        with open(path, "wb") as file:
            process = shim.popen(stdout=file)
    else:
        mine, theirs = socket.socketpair()
        process = shim.popen(stdout=theirs)
        theirs.close()
    got = bytearray()

    def collect():
        if kind == "pipe":
            got.extend(process.stdout.read())
        elif kind == "socket":
            while part := mine.recv(65536):
                got.extend(part)

    reader = threading.Thread(target=collect)
    reader.start()
    connection = daemon.accept()
    connection.request()
    connection.start()
    position = written = 0
    while position < len(data):
        step = min(60_000, WINDOW - (position - written), len(data) - position)
        if step:
            connection.send(b"o", data[position : position + step])
            position += step
        if position - written == WINDOW:
            written = struct.unpack("<QQ", connection.expect(b"a"))[0]
            assert written <= position
    connection.exit(0)
    assert process.wait(20) == 0
    reader.join()
    if kind == "file":
        with open(path, "rb") as file:
            got.extend(file.read())
    if mine:
        mine.close()
    assert bytes(got) == data


def test_input_and_signals_pass_while_the_output_is_blocked(shim, daemon):
    process = shim.popen()  # nobody reads its stdout
    connection = daemon.accept()
    connection.request()
    connection.start()
    for _ in range(16):
        connection.send(b"o", b"y" * 65536)
    process.stdin.write(b"hello")
    process.stdin.flush()
    assert connection.expect(b"i") == b"hello"
    process.send_signal(signal.SIGUSR1)
    assert connection.expect(b"s") == bytes([10])
    connection.exit(0)
    assert len(finish(process)[1]) == 16 * 65536


def test_the_users_descriptors_keep_their_flags(shim, daemon):
    import fcntl

    theirs, mine = os.pipe()
    process = shim.popen(stdout=mine)
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"o", b"z" * 200_000)
    assert os.read(theirs, 1) == b"z"
    assert not fcntl.fcntl(mine, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not fcntl.fcntl(process.stdin.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(mine)
    while os.read(theirs, 65536)[-1:] == b"z" and select.select([theirs], [], [], 0)[0]:
        pass
    connection.exit(0)
    while os.read(theirs, 65536):
        pass
    os.close(theirs)
    assert finish(process)[0] == 0


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "CONT", "ALRM"])
def test_signals_are_passed_on_and_the_program_decides(shim, daemon, name):
    number = getattr(signal, "SIG" + name)
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"e", b"up")
    assert process.stderr.read(2) == b"up"
    process.send_signal(number)
    assert connection.expect(b"s") == bytes([number])
    connection.exit(5)
    assert finish(process)[0] == 5


@pytest.mark.parametrize("name", ["INT", "TERM", "KILL", "SEGV", "PIPE"])
def test_it_dies_of_the_signal_that_ended_the_program(shim, daemon, name):
    number = getattr(signal, "SIG" + name)
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"o", b"last words")
    connection.exit(-number)
    assert finish(process) == (-number, b"last words", b"")


def test_ignored_signals_stay_ignored(shim, daemon):
    process = shim.popen(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"e", b"up")
    assert process.stderr.read(2) == b"up"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR2)
    assert connection.expect(b"s") == bytes([signal.SIGUSR2])
    connection.exit(0)
    assert finish(process)[0] == 0


def test_before_the_start_a_signal_simply_ends_it(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT
    connection.wait_end()


def test_a_closed_stdout_ends_it_like_any_filter(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    process.stdout.close()
    connection.send(b"o", b"nobody reads this")
    assert process.wait(20) == -signal.SIGPIPE
    connection.wait_end()
    process.stdout = None


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1, 2)])
def test_closed_descriptors_are_as_good_as_dev_null(shim, daemon, closed):
    redirect = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$0" {redirect}', shim.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )
    shim.started.append(process)
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"o", b"out")
    connection.send(b"e", b"err")
    if 0 in closed:
        connection.expect(b"I")
    connection.exit(9)
    assert finish(process) == (9, b"" if 1 in closed else b"out", b"" if 2 in closed else b"err")


def test_stopped_and_continued_with_the_program(shim, daemon):
    process = shim.popen(process_group=0)
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"e", b"up")
    assert process.stderr.read(2) == b"up"
    process.send_signal(signal.SIGTSTP)
    assert connection.expect(b"s") == bytes([19])
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    process.send_signal(signal.SIGCONT)
    assert connection.expect(b"s") == bytes([18])
    connection.exit(0)
    assert finish(process)[0] == 0


def test_notices_go_to_a_terminal_only(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"n", b"link lost")
    connection.exit(0)
    assert finish(process) == (0, b"", b"")


def test_nothing_is_left_when_it_is_killed(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    process.kill()
    connection.wait_end()
    assert process.wait(20) == -signal.SIGKILL
