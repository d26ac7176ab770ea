"""A daemon that is not there, not ready, wrong or gone: what either shim says and does, and that no byte is lost or doubled."""

import os
import random
import signal
import struct
import subprocess
import threading

import pytest

WINDOW = 1 << 20


def finish(process, data=None):
    out, err = process.communicate(data, timeout=20)
    return process.returncode, out, err


def test_without_a_daemon_it_becomes_the_fallback(shim):
    status, out, err = finish(shim.popen("-c", "a b"))
    assert (status, err) == (0, b"")
    assert out.decode() == f"fallback <shim-run> <{shim.path}> <{shim.project}> <gpu> <-c> <a b>"


def test_not_ready_becomes_the_fallback(shim, daemon):
    process = shim.popen("x", name="pip")
    connection = daemon.accept()
    connection.request()
    connection.send(b"U")
    assert finish(process)[1].decode() == f"fallback <shim-run> <{shim.path}> <{shim.project}> <gpu> <-m> <pip> <x>"


def test_a_daemon_that_ends_before_the_start_started_nothing(shim, daemon):
    process = shim.popen("x")
    connection = daemon.accept()
    connection.request()
    connection.close()
    assert finish(process)[1].startswith(b"fallback <shim-run>")


def test_the_fallback_has_usual_signals(shim):
    shim.configure(["/bin/sh", "-c", "kill -PIPE $$; echo survived"])
    assert finish(shim.popen())[:2] == (-signal.SIGPIPE, b"")


def test_errors_are_told_and_give_the_status(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.send(b"E", bytes([127]) + "no such program: é\nhint: install it".encode())
    assert finish(process) == (127, b"", "no such program: é\nhint: install it\n".encode())


def test_an_error_after_the_start_comes_after_the_output(shim, daemon):
    process = shim.popen(stderr=subprocess.STDOUT)
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"o", b"o" * 300_000)
    connection.send(b"E", bytes([255]) + b"link lost")
    status, out, _ = finish(process)
    assert (status, out) == (255, b"o" * 300_000 + b"link lost\n")


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"o\xff\xff\xff\xff",
        b"o" + struct.pack("<I", WINDOW + 1),
        b"S" + struct.pack("<I", 3) + b"abc",
        b"c" + struct.pack("<I", 7) + b"1234567",
        b"x" + struct.pack("<I", 0),
        b"?" + struct.pack("<I", 0),
        b"n" + struct.pack("<I", 70000),
        b"S" + struct.pack("<I", 16) + b"R" * 16 + b"o" * 40,
    ],
)
def test_garbage_ends_it_with_a_message(shim, daemon, garbage):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.sock.sendall(garbage)
    status, out, err = finish(process)
    assert status == 255
    assert out == b""
    assert err.startswith(b"afield: the daemon sent")
    assert b"not the run protocol" in err


def test_more_than_the_window_is_refused(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    with pytest.raises(OSError):
        for _ in range(200):
            connection.send(b"o", b"m" * 65536)
    assert process.wait(20) == 255
    assert b"unacknowledged" in process.stderr.read()


def test_no_conf_names_the_command_that_makes_one(shim):
    os.unlink(os.path.join(shim.project, ".afield", "shim.conf"))
    status, _, err = finish(shim.popen())
    assert status == 255
    assert err.startswith(b"afield: cannot read ")
    assert f"hint: run `afield up` in {shim.project}".encode() in err


def test_no_fallback_is_told(shim):
    shim.configure([])
    status, _, err = finish(shim.popen())
    assert status == 255
    assert b"no fallback" in err
    assert b"hint: run `afield up`" in err


def test_a_fallback_that_is_gone_is_told(shim):
    shim.configure(["/nonexistent/afield"])
    status, _, err = finish(shim.popen())
    assert status == 255
    assert b"cannot start /nonexistent/afield: No such file" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_a_socket_of_another_user_is_not_talked_to(shim):
    """Whoever made /tmp/afield-UID first must not get the environment."""
    script = (
        "import os,socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.setuid(65534); s.listen(1);"
        "print('up',flush=True); c=s.accept()[0]; print(c.recv(99))"
    )
    with subprocess.Popen(["/usr/bin/python3", "-c", script, shim.socket_path], stdout=subprocess.PIPE) as thief:
        assert thief.stdout.readline() == b"up\n"
        status, _, err = finish(shim.popen())
        assert status == 255
        assert b"belongs to user 65534" in err
        assert thief.stdout.read() == b"b''\n"


def test_a_long_socket_path_works(shim, daemon, folder):
    long = os.path.join(folder, "x" * 100)
    os.mkdir(long)
    os.link(shim.socket_path, os.path.join(long, "daemon.sock"))
    shim.socket_path = os.path.join(long, "daemon.sock")
    shim.configure([])
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.exit(4)
    assert finish(process)[0] == 4


def resumed(connection):
    payload = connection.expect(b"T")
    run_id, credit, out, err = struct.unpack("<16sQQQ", payload[:40])
    return run_id, credit, out, err, payload[40:]


def test_a_fresh_daemon_takes_the_run_up_without_loss(shim, daemon):
    """Cut in the middle of a frame; output goes on from what was written, input from what was taken."""
    data = random.Random(3).randbytes(700_000)
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start(b"I" * 16)
    process.stdin.write(b"0123456789")
    process.stdin.flush()
    assert connection.expect(b"i") == b"0123456789"
    connection.send(b"e", b"part")
    assert process.stderr.read(4) == b"part"
    connection.sock.sendall(b"o" + struct.pack("<I", 100_000) + data[:30_000])
    first = process.stdout.read(30_000)
    daemon.vanish()
    daemon.connections.clear()
    daemon.listen()
    process.stdin.close()
    process.stdin = None
    again = daemon.accept()
    run_id, credit, out, err, rest = resumed(again)
    assert (run_id, credit, out, err) == (b"I" * 16, WINDOW, 30_000, 4)
    assert rest == f"{shim.project}\0gpu\0".encode()
    again.send(b"S", b"I" * 16)
    again.credit(7)
    assert again.expect(b"i") == b"789"
    again.expect(b"I")
    for start in range(out, len(data), 60_000):
        again.send(b"o", data[start : start + 60_000])
    again.exit(42)
    status, rest, _ = finish(process)
    assert status == 42
    assert first + rest == data


def test_input_that_was_ended_is_ended_again(shim, daemon):
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    process.stdin.write(b"abc")
    process.stdin.close()
    process.stdin = None
    assert connection.input() == b"abc"
    daemon.vanish()
    daemon.connections.clear()
    daemon.listen()
    again = daemon.accept()
    resumed(again)
    again.send(b"S", b"R" * 16)
    again.credit(3)
    again.expect(b"I")
    again.exit(0)
    assert finish(process)[0] == 0


def test_many_cuts_lose_and_double_nothing(shim, daemon):
    """A model of the daemon that dies at random moments, both ways at once."""
    chance = random.Random(4)
    up, down = chance.randbytes(1_500_000), chance.randbytes(1_500_000)
    process = shim.popen()
    got_down = bytearray()
    writer = threading.Thread(target=lambda: (process.stdin.write(up), process.stdin.close()))
    reader = threading.Thread(target=lambda: got_down.extend(process.stdout.read()))
    writer.start()
    reader.start()
    connection = daemon.accept()
    connection.request()
    connection.start()
    got_up, position, written, cuts = bytearray(), 0, 0, 0
    ended = False
    while not ended or position < len(down):
        step = min(chance.randrange(1, 60_000), len(down) - position, written + WINDOW - position)
        if step > 0:
            connection.send(b"o", down[position : position + step])
            position += step
        if (step <= 0 or chance.random() < 0.5) and (not ended or position - written >= WINDOW):
            kind, payload = connection.frame()
            if kind == b"a":
                written = struct.unpack("<QQ", payload)[0]
            elif kind == b"i":
                got_up += payload
                connection.credit(len(got_up))
            else:
                assert kind == b"I"
                ended = True
        if cuts < 8 and chance.random() < 0.1:
            cuts += 1
            connection.close()
            connection = daemon.accept()
            _, _, position, _, _ = resumed(connection)
            written = position
            taken = max(0, len(got_up) - chance.randrange(100_000))  # the place had less than the daemon
            del got_up[taken:]
            ended = False
            connection.send(b"S", b"R" * 16)
            connection.credit(taken)
    assert cuts > 0
    connection.exit(0)
    assert process.wait(20) == 0
    writer.join()
    reader.join()
    process.stdin = None
    assert bytes(got_up) == up
    assert bytes(got_down) == down


def test_a_vanished_daemon_is_started_again(shim, daemon, folder):
    """The fallback is called with `daemon start`; here it only leaves a mark, and the test starts the daemon."""
    mark = os.path.join(folder, "mark")
    os.mkfifo(mark)
    with open(shim.script, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\necho "$@" > {mark}\n')
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"e", b"up")
    assert process.stderr.read(2) == b"up"
    daemon.vanish()
    daemon.connections.clear()
    with open(mark, encoding="utf-8") as file:
        assert file.read() == "daemon start\n"
    daemon.listen()
    again = daemon.accept()
    resumed(again)
    again.send(b"U")  # its link is not there yet
    again.close()
    third = daemon.accept()
    resumed(third)
    third.start()
    third.exit(6)
    assert finish(process)[0] == 6


def test_a_signal_ends_it_while_there_is_no_daemon(shim, daemon, folder):
    mark = os.path.join(folder, "mark")
    os.mkfifo(mark)
    with open(shim.script, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\necho > {mark}\n")
    process = shim.popen()
    connection = daemon.accept()
    connection.request()
    connection.start()
    connection.send(b"e", b"up")
    assert process.stderr.read(2) == b"up"
    daemon.vanish()
    daemon.connections.clear()
    with open(mark, encoding="utf-8") as file:
        file.read()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
