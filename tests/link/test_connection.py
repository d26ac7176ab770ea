"""The walk of a connection against a place in memory: every turn of it, in milliseconds."""

import asyncio
import hashlib
import os

import pytest

from afield import errors
from afield.link import state
from afield.link.connection import Connection

ECHO = {"do": "echo"}


def names(link):
    seen = []
    link.on_state.append(lambda new: seen.append(type(new).__name__))
    return seen


async def wait_for(link, kind):
    """Wait until the connection is in this state."""
    if isinstance(link.state, kind):
        return link.state
    future = asyncio.get_running_loop().create_future()

    def look(new):
        if isinstance(new, kind) and not future.done():
            future.set_result(new)

    link.on_state.append(look)
    return await future


async def wait_next(link, kind):
    """Wait until the connection enters this state anew."""
    future = asyncio.get_running_loop().create_future()

    def look(new):
        if isinstance(new, kind) and not future.done():
            future.set_result(new)

    link.on_state.append(look)
    return await future


async def collect(stream):
    parts = []
    while data := await stream.read():
        parts.append(data)
    return b"".join(parts)


def test_a_first_dial_connects_and_a_close_ends_idle(memory, run):
    async def work(link):
        assert isinstance(link.state, state.Connected)
        assert not link.state.resumed
        return link

    link = run(memory, work)
    assert isinstance(link.state, state.Idle)
    assert memory.place.dials == 1


def test_calls_answer(memory, run):
    async def work(link):
        assert await link.call("add", {"a": 2, "b": 3}) == 5
        return await asyncio.gather(*(link.call("add", {"a": n, "b": n}) for n in range(50)))

    assert run(memory, work) == [2 * n for n in range(50)]


def test_a_call_that_fails_there_raises_the_same_error_here(memory, run):
    async def work(link):
        with pytest.raises(errors.NoSuchProcess, match="no call 'nosuch'") as caught:
            await link.call("nosuch")
        assert caught.value.hint
        assert link.streams == 0

    run(memory, work)


def test_a_call_without_an_answer_times_out_by_name_and_is_cancelled(memory, run):
    memory.place.calls["never"] = lambda _: NotImplemented

    async def work(link):
        with pytest.raises(errors.LinkTimeout, match="'never'"):
            await link.call("never", timeout=0.05)
        assert link.streams == 0
        task = asyncio.ensure_future(link.call("never"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert link.streams == 0

    run(memory, work)


def test_bytes_come_back_in_order_with_bounded_memory(memory, run):
    blob = os.urandom(3_000_000)

    async def work(link):
        stream = link.open_stream(ECHO)

        async def send():
            await stream.write(blob)
            await stream.write_end()

        _, back = await asyncio.gather(send(), collect(stream))
        await stream.wait_closed()
        return back

    assert run(memory, work) == blob


def test_a_sink_sees_what_came_before_it(memory, run):
    async def work(link):
        stream = link.open_stream({"do": "give", "size": 1000})
        await stream.wait_closed()
        got = bytearray()
        stream.set_sink(lambda data, err: got.extend(data))
        return bytes(got)

    assert run(memory, work) == bytes(1000)


def test_messages_go_both_ways(memory, run):
    async def work(link):
        stream = link.open_stream(ECHO)
        for n in range(3):
            await stream.send_message({"n": n})
        got = [await stream.message() for _ in range(3)]
        await stream.write_end()
        assert [value async for value in stream.messages()] == []
        return got

    assert run(memory, work) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_an_exception_in_a_callback_closes_that_stream_alone(memory, run, caplog):
    async def work(link):
        def sink(_data, _err):
            raise ValueError("mine")

        bad, good = link.open_stream({"do": "give", "size": 10}), link.open_stream(ECHO)
        bad.set_sink(sink)
        with pytest.raises(errors.AfieldError, match="callback"):
            await bad.wait_closed()
        await good.write(b"x")
        return await good.read()

    assert run(memory, work) == b"x"
    assert "callback of stream" in caplog.text


@pytest.mark.parametrize("cuts", [1, 5])
def test_a_cut_in_the_middle_loses_and_doubles_nothing(memory, run, cuts):
    blob = os.urandom(8_000_000)

    async def work(link):
        seen = names(link)
        stream = link.open_stream(ECHO)
        got = hashlib.sha256()
        count = 0
        marks = [len(blob) * (n + 1) // (cuts + 1) for n in range(cuts)]

        async def send():
            await stream.write(blob)
            await stream.write_end()

        task = asyncio.ensure_future(send())
        while data := await stream.read():
            got.update(data)
            count += len(data)
            if marks and count >= marks[0]:
                marks.pop(0)
                memory.place.cut()
        await task
        return got.hexdigest(), seen

    digest, seen = run(memory, work)
    assert digest == hashlib.sha256(blob).hexdigest()
    assert seen.count("Waiting") >= 1
    assert memory.place.dials == 1 + seen.count("Waiting")


def test_a_resume_is_named_so(memory, run):
    async def work(link):
        waiting = asyncio.ensure_future(wait_next(link, state.Waiting))
        connected = asyncio.ensure_future(wait_next(link, state.Connected))
        await asyncio.sleep(0)
        memory.place.cut()
        assert isinstance((await waiting).reason, errors.LinkLost)
        return (await connected).resumed

    assert run(memory, work) is True


def test_a_lost_session_ends_its_streams_by_name_and_a_new_one_begins(memory, run):
    async def work(link):
        renewed = asyncio.Event()
        link.on_new_session.append(renewed.set)
        stream = link.open_stream(ECHO)
        await stream.write(b"x")
        await stream.read()
        memory.place.forget()
        memory.place.cut()
        with pytest.raises(errors.SessionGone, match="memory://") as caught:
            await stream.read()
        assert caught.value.hint
        await renewed.wait()
        assert await link.call("add", {"a": 1, "b": 1}) == 2

    run(memory, work)


def test_a_stream_opened_while_the_link_is_down_goes_out_when_it_is_back(memory, run):
    async def work(link):
        memory.place.cut()
        await wait_for(link, state.Waiting)
        return await link.call("add", {"a": 20, "b": 22})

    assert run(memory, work) == 42


def test_failed_redials_wait_and_are_tried_again(memory, run):
    async def work(link):
        seen = names(link)
        memory.place.refuse = 2
        memory.place.cut()
        await wait_for(link, state.Waiting)
        assert await link.call("add", {"a": 1, "b": 2}) == 3
        return seen

    assert run(memory, work).count("Waiting") == 3


def test_a_lasting_refusal_ends_the_dials_and_an_open_goes_on_with_the_session(memory, run):
    async def work(link):
        stream = link.open_stream(ECHO)
        await stream.write(b"before")
        assert await stream.read() == b"before"
        memory.explained = errors.PermissionDenied("locked", hint="unlock")
        memory.place.refuse = 1
        memory.place.cut()
        failed = await wait_for(link, state.Failed)
        assert isinstance(failed.error, errors.PermissionDenied)
        with pytest.raises(errors.PermissionDenied):
            await link.call("ping")
        await link.open()
        await stream.write(b"after")
        return await stream.read()

    assert run(memory, work) == b"after"


def test_a_first_dial_that_fails_raises_and_may_be_repeated(memory, run):
    async def work(link):
        memory.place.refuse = 1
        with pytest.raises(errors.AfieldError) as caught:
            await link.open()
        assert caught.value.hint
        assert isinstance(link.state, state.Failed)
        await link.open()
        return await link.call("add", {"a": 1, "b": 1})

    assert run(memory, work, opened=False) == 2


def test_many_who_open_at_once_share_one_dial(memory, run):
    async def work(link):
        await asyncio.gather(*(link.open() for _ in range(5)))

    run(memory, work, opened=False)
    assert memory.place.dials == 1


def test_nothing_can_be_asked_before_the_first_dial(memory, run):
    async def work(link):
        with pytest.raises(errors.LinkError) as caught:
            await link.call("ping")
        assert caught.value.hint

    run(memory, work, opened=False)


def test_a_banner_before_the_marker_does_no_harm(memory, run):
    memory.place.noise = b"Welcome!\nAFIELD is a nice word\n" * 50 + b"no newline at the end"

    async def work(link):
        return await link.call("add", {"a": 1, "b": 1})

    assert run(memory, work) == 2


def test_the_bundle_is_sent_when_it_is_missing_and_only_then(memory, run):
    async def work(link):
        return await link.call("add", {"a": 1, "b": 1})

    memory.place.need = 1
    assert run(memory, work) == 2
    memory.place.need = 0
    assert run(memory, work) == 2
    assert memory.place.bundles == 1


@pytest.mark.parametrize("code", ["python-too-old", "place-full", "agent-broken"])
def test_what_the_starter_refuses_with_becomes_that_error(memory, run, code):
    memory.place.error = {"error": code, "text": "because"}

    async def work(link):
        with pytest.raises(errors.AfieldError, match="because") as caught:
            await link.open()
        return caught.value.code

    assert run(memory, work, opened=False) == code


def test_a_peer_that_breaks_the_protocol_ends_in_failed(memory, run):
    memory.place.noise = (
        b'\nAFIELD1 {"need": 0, "py": [3,11,2], "exe": "x", "magic": "00", "dir": "", "why": ""}\n'
        + b"HTTP/1.1 400 Bad Request\r\n" * 5
    )

    async def work(link):
        with pytest.raises(errors.ProtocolError):
            await link.open()
        assert isinstance(link.state, state.Failed)

    run(memory, work, opened=False)


def test_an_open_on_a_waiting_link_dials_at_once(memory, run):
    async def work(link):
        memory.place.refuse = 1
        memory.place.cut()
        await wait_next(link, state.Waiting)
        waiting = await wait_next(link, state.Waiting)
        assert waiting.attempt == 1
        await link.open()
        assert isinstance(link.state, state.Connected)

    run(memory, work)


def test_a_close_while_dialing_ends_everything(memory):
    async def main():
        link = Connection(memory, start=memory.start)
        opening = asyncio.ensure_future(link.open())
        await asyncio.sleep(0)
        await link.close()
        with pytest.raises(errors.Cancelled):
            await opening

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_close_ends_the_streams(memory, run):
    async def work(link):
        stream = link.open_stream(ECHO)
        await link.close()
        with pytest.raises(errors.Cancelled):
            await stream.read()

    run(memory, work)


def test_statistics_name_the_place_the_state_and_the_python(memory, run):
    async def work(link):
        await link.call("ping")
        return link.statistics()

    shown = run(memory, work)
    assert (shown["place"], shown["state"], shown["python"]["exe"]) == ("memory://", "connected", "/usr/bin/python3")
