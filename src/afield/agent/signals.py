"""The C module below ``signal``: importing the enums around it costs 3 ms at every start  [P].

Numbers and calls are those of ``signal``; added is only what every new process of ours begins with.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as c_signal
else:
    import _signal as c_signal

__all__ = ["c_signal", "reset_signals"]


def reset_signals() -> "None":
    """Give every signal its default action and unblock all: Python ignores SIGPIPE, a login may ignore more."""
    for number in range(1, c_signal.NSIG):
        try:
            if c_signal.getsignal(number) != c_signal.SIG_DFL:
                c_signal.signal(number, c_signal.SIG_DFL)
        except (OSError, ValueError, RuntimeError):  # KILL, STOP, and the ones that the C library keeps
            pass
    c_signal.pthread_sigmask(c_signal.SIG_SETMASK, [])
