"""Every bound of a link, each with its reason  [P].

Rules: numbers only. A test may make a ``Limits`` of its own; both ends must agree on ``frame``, ``message`` and ``initial_credit``.
"""

KIB = 1 << 10
MIB = 1 << 20


class Limits:
    """Bytes, counts and seconds; keyword arguments change single ones."""

    # -- agreed by both ends
    frame = 64 * KIB  # of DATA and ERR: one turn of the scheduler, the longest that a keystroke waits behind
    message = 8 * MIB  # of OPEN and MSG: Linux gives arguments and environment of a program at most 6 MiB (execve(2))
    initial_credit = 256 * KIB  # may follow OPEN at once: one round trip of 25 MB/s at 10 ms

    # -- streams
    window = 4 * MIB  # of a stream: 40 MB/s at 100 ms; the ssh channel below has 2 MiB
    stream_queue = 1 * MIB  # bytes queued on one stream: enough for a writev every 4 ms at 250 MB/s
    streams = 4096  # opened by one side at a time: a notebook server with all its sockets stays below 1000
    credit_delay = 0.05  # consumed bytes are told at the latest after this, so that the peer's journal stays short

    # -- control
    control = 16 * MIB  # queued messages: two of the largest; more means that nobody sends
    pings = 64  # unanswered: one every 15 s makes 16 minutes
    pongs = 64  # queued: the peer would have to ask faster than it reads

    # -- the whole link
    batch = 64  # buffers per writev: IOV_MAX is 1024 on Linux, 16 by POSIX; 256 KiB of frames need 8
    joined = 4 * KIB  # up to here copying frames into one buffer is cheaper than one more entry of the vector
    window_least = 128 * KIB  # two frames in flight keep a loopback pipe busy
    window_start = 256 * KIB
    window_most = 16 * MIB  # 160 MB/s at 100 ms, and the memory that a lost transport may cost
    slack = 4 * MIB  # of messages and sparse streams above the window, before they wait too
    refusal = 4 * MIB  # of acknowledgements above that: a peer that takes data and never acknowledges is broken
    sparse = 16 * KIB  # a stream that sends no more than this in a round trip goes first: a screenful, a message
    ack_bytes = 64 * KIB  # 16 bytes of answer per frame of bulk
    ack_delay = 0.02  # below what a person notices, above the pause between two frames of a slow link
    heartbeat = 15.0  # of silence before a ping: below the usual NAT timeouts (30 s and more)
    silence = 40.0  # then the transport is dead: two pings and ten seconds for the answer

    def __init__(self, **changes: "float") -> "None":
        for name, value in changes.items():
            if not hasattr(type(self), name) or name.startswith("_"):
                raise TypeError("expected the name of a limit, got %r" % (name,))
            setattr(self, name, value)


LIMITS = Limits()
