"""One stream to a real agent, as a test sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, from_value
from afield.wire import events

if TYPE_CHECKING:
    from afield.testing.agent import AgentDriver


class Stream:
    """One stream as the test sees it: what came so far, consumed at once unless ``hold`` is set."""

    def __init__(self, driver: AgentDriver, number: int, header: dict[str, Any]) -> None:
        self.driver = driver
        self.id = number
        self.header = header
        self.out = bytearray()
        self.err = bytearray()
        self.messages: list[Any] = []
        self.ended = False
        self.closed = False
        self.error: AfieldError | None = None
        self.hold = False
        self.held = 0

    def take(self, data: memoryview | bytes, err: bool) -> None:
        """Keep a copy and give the credit back."""
        (self.err if err else self.out).extend(data)
        if self.hold:
            self.held += len(data)
        else:
            self.driver.link.consumed(self.id, len(data))

    def release(self) -> None:
        """Consume what was held back, and everything from now on."""
        self.hold = False
        self.driver.link.consumed(self.id, self.held)
        self.held = 0
        self.driver.pump(0)

    def send(self, data: bytes) -> None:
        """Send all of data, waiting for credit; raises TimeoutError."""
        view = memoryview(data)
        while view:
            self.driver.wait(lambda: self.closed or self.driver.link.sendable(self.id) > 0)
            if self.closed:
                return
            count = min(len(view), self.driver.link.sendable(self.id), 65536)
            self.driver.link.send(self.id, bytes(view[:count]))
            view = view[count:]
            self.driver.pump(0)

    def end(self) -> None:
        """Send the end of input."""
        self.driver.link.send_end(self.id)
        self.driver.pump(0)

    def message(self, value: Any) -> None:
        """Send a message."""
        self.driver.link.send_message(self.id, value)
        self.driver.pump(0)

    def close(self) -> None:
        """Close the stream on purpose."""
        self.driver.link.close(self.id)
        self.closed = True
        self.driver.pump(0)

    def wait_message(self, name: str) -> Any:
        """Wait for a map with this key and give its value; raises the stream's error when it closes first."""

        def here() -> bool:
            return self.closed or any(isinstance(m, dict) and name in m for m in self.messages)

        self.driver.wait(here)
        for message in self.messages:
            if isinstance(message, dict) and name in message:
                return message[name]
        raise self.error or AssertionError(f"the stream closed without {name}: {self.messages}")

    def wait_closed(self) -> Stream:
        """Wait for the end; raises the stream's error."""
        self.driver.wait(lambda: self.closed)
        if self.error is not None:
            raise self.error
        return self

    @property
    def status(self) -> int:
        """The exit code, or minus the signal, once it is there."""
        for message in self.messages:
            if "exit" in message:
                return int(message["exit"])
            if "killed" in message:
                return -int(message["killed"])
        raise AssertionError(f"no exit yet: {self.messages}")


def give(stream: Stream, event: Any) -> None:
    """Put one event of the link where a test looks for it."""
    if isinstance(event, events.Data):
        stream.take(event.data, event.err)
    elif isinstance(event, events.Message):
        stream.messages.append(event.value)
    elif isinstance(event, events.Ended):
        stream.ended = True
    elif isinstance(event, events.Closed):
        stream.closed = True
        error: Any = event.error
        stream.error = from_value(error) if isinstance(error, dict) else error
