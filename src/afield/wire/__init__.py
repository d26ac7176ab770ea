"""The protocol as values: bytes, messages and the time go in, events and bytes come out  [P].

Rules: pure. No I/O, no clock, no randomness, no threads: whoever owns a file descriptor and a clock drives ``link.Link``.
``docs/development/protocol.md`` is the contract that these files keep.
"""
