"""The C module below ``signal``: importing the enums around it costs 3 ms at every start  [P].

Numbers and calls are those of ``signal``; nothing is added.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as c_signal
else:
    import _signal as c_signal

__all__ = ["c_signal"]
