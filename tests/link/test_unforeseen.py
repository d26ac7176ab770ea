"""Errors that nobody foresaw: each way out of the walk ends in a state and an error; nobody waits for ever, and the next open works."""

import asyncio

import pytest

from afield import errors
from afield.link import state
from afield.link.connection import Connection

ECHO = {"do": "echo"}


def break_once(monkeypatch, target, name, error):
    """Let one method fail the next time it is called, and work again after that."""
    whole = getattr(target, name)

    def fail(*args, **named):
        monkeypatch.setattr(target, name, whole)
        raise error

    monkeypatch.setattr(target, name, fail)


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ValueError("odd"), errors.InternalError("odd")])
def test_a_start_that_fails_in_any_way_is_raised_by_open(memory, error):
    def start(_dial):
        raise error

    async def main():
        link = Connection(memory, start=start)
        with pytest.raises(errors.AfieldError, match=r"odd|Too many"):
            await asyncio.wait_for(link.open(), 20)
        assert isinstance(link.state, state.Failed)
        await link.close()

    asyncio.run(main())


def test_after_an_unforeseen_error_the_next_open_dials_again(memory, monkeypatch, run):
    async def work(link):
        break_once(monkeypatch, link._dialer, "open", KeyError("odd"))
        with pytest.raises(errors.InternalError, match="KeyError"):
            await link.open()
        assert "odd" in link.state.error.text
        await link.open()
        assert await link.call("add", {"a": 1, "b": 2}) == 3

    run(memory, work, opened=False)


@pytest.mark.parametrize("door", ["receive_data", "data_to_send", "events"])
def test_a_fault_in_the_core_ends_the_link_and_its_streams_with_an_error(memory, monkeypatch, run, door):
    async def work(link):
        stream = link.open_stream(ECHO)
        failed = asyncio.get_running_loop().create_future()
        link.on_state.append(lambda new: failed.done() or failed.set_result(new))
        break_once(monkeypatch, stream.session.link, door, RuntimeError("odd"))
        stream.session.ping()
        outcome = await asyncio.wait_for(failed, 20)
        assert isinstance(outcome, state.Failed)
        with pytest.raises(errors.SessionGone, match="odd"):
            await asyncio.wait_for(stream.read(), 20)
        await link.open()
        assert await link.call("add", {"a": 1, "b": 2}) == 3

    run(memory, work)


def test_after_garbage_in_the_middle_of_a_session_a_new_one_can_be_opened(memory, run):
    async def work(link):
        stream = link.open_stream(ECHO)
        stream.session.receive(memoryview(b"\xff" * 64))
        with pytest.raises(errors.SessionGone):
            await asyncio.wait_for(stream.read(), 20)
        assert isinstance(link.state, state.Failed)
        assert isinstance(link.state.error, errors.ProtocolError)
        await link.open()
        assert await link.call("add", {"a": 1, "b": 2}) == 3

    run(memory, work)


def test_a_listener_that_fails_stops_neither_the_walk_nor_the_others(memory, run):
    seen = []

    def bad(_new):
        raise ValueError("a listener")

    async def work(link):
        link.on_state += [bad, lambda new: seen.append(type(new).__name__)]
        await link.open()
        assert await link.call("add", {"a": 1, "b": 2}) == 3

    run(memory, work, opened=False)
    assert seen == ["Dialing", "Connected", "Idle"]


def test_an_open_whose_walk_is_cancelled_is_cancelled_too(memory):
    async def main():
        link = Connection(memory, start=memory.start)
        opening = asyncio.ensure_future(link.open())
        await asyncio.sleep(0)
        link._runner.cancel()
        with pytest.raises(errors.Cancelled):
            await asyncio.wait_for(opening, 20)
        await link.close()

    asyncio.run(main())


def test_while_a_lost_session_is_replaced_nothing_can_be_opened(memory, run):
    async def work(link):
        stream = link.open_stream(ECHO)
        assert link.can_open
        told = asyncio.get_running_loop().create_future()
        stream.on_closed = lambda error: told.set_result((type(error), link.can_open))
        memory.place.forget()
        memory.place.cut()
        assert await asyncio.wait_for(told, 20) == (errors.SessionGone, False)
        await link.open()
        assert link.can_open

    run(memory, work)
