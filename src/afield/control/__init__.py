"""What faces may ask of the daemon: where its socket is, the table of verbs, and the blocking client.

Rules: no asyncio and no daemon code here; every face (command line, shim, dashboard) goes through this package.
The client's road (paths, spawn, client) does without ``typing`` and ``socket`` at run time: they cost 12 ms of each command.
"""

VERSION = 1
# A line holds at most a 12 MiB piece of a file in base64; nothing that a person asks comes near it.
LINE_LIMIT = 16 << 20
# A piece of a file in one line: large enough that JSON costs little, small enough that other answers pass between.
PIECE = 192 << 10
