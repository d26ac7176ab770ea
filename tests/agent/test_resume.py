"""A link that breaks, a client that dies: nothing is lost, nothing comes twice."""

import hashlib
import os
import signal

import pytest

from afield.errors import NoSuchProcess, ProtocolError

COUNT = "import sys, time\nfor n in range({n}):\n print(n, flush=True); time.sleep({pause})\nsys.exit(42)"


def expect_count(n):
    return b"".join(b"%d\n" % i for i in range(n))


def test_output_and_exit_survive_cuts(agent, env_python):
    stream = agent.process_stream(env_python, "-c", COUNT.format(n=400, pause=0.002))
    for size in (20, 200, 700):
        agent.wait(lambda size=size: len(stream.out) >= size)
        agent.cut()
        agent.dial()
    stream.wait_closed()
    assert bytes(stream.out) == expect_count(400)
    assert stream.status == 42


def test_what_happened_while_away_is_there_afterwards(agent, env_python, wait_until):
    flag = agent.home + "/over"
    code = f"import sys; sys.stdout.write('x' * 3000000); sys.stderr.write('e' * 500000); open({flag!r}, 'w')"
    stream = agent.process_stream(env_python, "-c", code)
    stream.wait_message("started")
    agent.cut()
    wait_until(lambda: os.path.exists(flag))  # it ran to its end without a client: 3.5 MB went into the journal
    agent.dial()
    stream.wait_closed()
    assert (len(stream.out), len(stream.err), stream.status) == (3000000, 500000, 0)


def test_input_typed_while_away_arrives(agent):
    stream = agent.process_stream("cat")
    stream.wait_message("started")
    agent.cut()
    agent.link.send(stream.id, b"typed while away\n")
    agent.link.send_end(stream.id)
    agent.dial()
    stream.wait_closed()
    assert bytes(stream.out) == b"typed while away\n"


def test_fifty_megabytes_both_ways_with_cuts_in_the_middle(agent):
    block = os.urandom(1 << 20)
    stream = agent.process_stream("cat")
    sent = hashlib.sha256()
    total, left, cuts = 50 << 20, 50 << 20, [40 << 20, 23 << 20, 5 << 20]
    while left:
        room = min(agent.link.sendable(stream.id), 65536, left)
        if room:
            at = (total - left) % len(block)
            data = block[at : at + room]
            sent.update(data)
            agent.link.send(stream.id, data)
            left -= len(data)
            agent.pump(0)
        else:
            agent.pump(1.0)
        if cuts and left < cuts[0]:
            cuts.pop(0)
            agent.cut()
            agent.dial()
    stream.end()
    stream.wait_closed()
    assert len(stream.out) == total
    assert hashlib.sha256(stream.out).digest() == sent.digest()


def test_journal_goes_to_disk_and_then_the_program_waits(agent, env_python, wait_until):
    flag = agent.home + "/progress"
    code = (
        "import os\n"
        f"block = b'0123456789abcdef' * 65536\nprogress = os.open({flag!r}, os.O_WRONLY | os.O_CREAT)\n"
        "for n in range(90):\n"
        "    left = memoryview(block)\n"
        "    while left: left = left[os.write(1, left):]\n"
        "    os.pwrite(progress, b'%02d' % n, 0)\n"
    )
    stream = agent.process_stream(env_python, "-c", code)
    stream.hold = True
    stream.wait_message("started")
    agent.cut()

    def progress():
        with open(flag, "rb") as file:
            return int(file.read() or b"0")

    wait_until(lambda: os.path.exists(flag) and progress() >= 64)
    seen = -1
    while seen != progress():
        seen = progress()
        agent_sleep()
    assert seen < 75, "64 MiB of file, 1 of memory, what the link and the pipe hold; then it waits"
    agent.dial()
    stream.release()
    stream.wait_closed()
    assert len(stream.out) == 90 << 20
    assert hashlib.sha256(stream.out).digest() == hashlib.sha256(b"0123456789abcdef" * (90 * 65536)).digest()


def agent_sleep():
    import time

    time.sleep(0.3)


def test_wrong_secret_and_unknown_session_are_gone(agent, start):
    stranger = start(env={"AFIELD_IDLE": "0.3"})
    stranger.cut()
    stranger.session, stranger.secret = agent.session, os.urandom(16)
    stranger.link = stranger._new_link()
    stranger.dial()
    assert stranger.refused == "gone"
    assert agent.call("ping")["now"] > 0


def test_new_client_attaches_from_its_offsets(agent, env_python):
    ident = os.urandom(16)
    code = (
        "import sys, time\nsys.stderr.write('warn'); sys.stderr.flush()\n"
        "for n in range(300): print(n, flush=True); time.sleep(0.002)\n"
        "sys.stdout.write(sys.stdin.read()); sys.exit(7)\n"
    )
    stream = agent.process_stream(env_python, "-c", code, id=ident)
    stream.hold = True
    stream.send(b"abc")
    agent.wait(lambda: len(stream.out) > 100 and len(stream.err) == 4)
    have = bytes(stream.out[:57])
    agent.forget()
    agent.dial()
    again = agent.open(do="attach", id=ident, out=57, err=2)
    attached = again.wait_message("attached")
    assert attached["in"] == 3
    again.send(b"def")
    again.end()
    again.wait_closed()
    assert have + bytes(again.out) == b"".join(b"%d\n" % n for n in range(300)) + b"abcdef"
    assert bytes(again.err) == b"rn"
    assert again.status == 7


def test_attach_after_the_end_replays_and_tells_the_exit(agent, wait_until):
    ident = os.urandom(16)
    stream = agent.process_stream(
        "sh", "-c", "printf 0123456789; touch $FLAG; exit 3", id=ident, env={"FLAG": os.fsencode(agent.home) + b"/over"}
    )
    stream.hold = True
    agent.wait(lambda: stream.closed)
    agent.forget()
    agent.dial()
    again = agent.open(do="attach", id=ident, out=4, err=0)
    again.wait_closed()
    assert (bytes(again.out), again.status) == (b"456789", 3)


def test_consumed_output_cannot_be_asked_for_again(agent):
    ident = os.urandom(16)
    stream = agent.process_stream("sh", "-c", "printf 0123456789; sleep 60", id=ident)
    agent.wait(lambda: len(stream.out) == 10)
    for _ in range(3):  # the credit for it leaves within 50 ms
        agent.pump(0.1)
    agent.forget()
    agent.dial()
    with pytest.raises(ProtocolError, match="kept are 10 to 10"):
        agent.open(do="attach", id=ident, out=3, err=0).wait_closed()
    again = agent.open(do="attach", id=ident, out=10, err=0)
    assert again.wait_message("attached")["pid"] > 0
    again.close()


def test_attach_to_what_never_was_is_an_error(agent):
    with pytest.raises(NoSuchProcess):
        agent.open(do="attach", id=os.urandom(16), out=0, err=0).wait_closed()


def test_second_client_takes_the_process_over(agent, start):
    ident = os.urandom(16)
    stream = agent.process_stream("cat", id=ident)
    stream.wait_message("started")
    second = start()
    taken = second.open(do="attach", id=ident, out=0, err=0)
    taken.wait_message("attached")
    agent.wait(lambda: stream.closed)
    assert stream.error.code == "cancelled"
    taken.send(b"still here")
    taken.end()
    taken.wait_closed()
    assert bytes(taken.out) == b"still here"


def test_goodbye_ends_what_ran_for_this_client_only(agent, start, alive, wait_until):
    kept = agent.process_stream("sleep", "60")
    pid_kept = kept.wait_message("started")["pid"]
    second = start()
    pid = second.process_stream("sleep", "60").wait_message("started")["pid"]
    second.finish()
    wait_until(lambda: not alive(pid))
    assert alive(pid_kept)
    kept.message({"signal": int(signal.SIGKILL)})
    kept.wait_closed()


def test_garbage_ends_the_session_but_not_its_processes(agent):
    ident = os.urandom(16)
    agent.process_stream("cat", id=ident).wait_message("started")
    os.write(agent.process.stdin.fileno(), b"\xff" * 100)
    with pytest.raises(EOFError):
        agent.wait(lambda: False)
    agent.forget()
    agent.dial()
    again = agent.open(do="attach", id=ident, out=0, err=0)
    again.send(b"x")
    again.end()
    assert bytes(again.wait_closed().out) == b"x"
