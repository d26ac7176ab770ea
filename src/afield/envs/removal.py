"""Removes one environment, and never anything else  [P]."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Sequence


def remove(prefix: "str", made: "str", keep: "Sequence[str]", *, foreign: "bool") -> "Dict[str, Any]":
    """Remove the folder; gives ``removed`` and ``why`` not. ``keep``: folders that it must not be or hold.

    ``foreign``: also one that afield did not make, when it has the marks of an environment. Raises OSError.
    """
    why = refusal(prefix, made, keep, foreign=foreign)
    if why:
        return {"removed": False, "why": why}
    import shutil

    shutil.rmtree(prefix)
    if made and os.path.dirname(os.path.realpath(prefix)) == os.path.realpath(made):
        _remove_empty(made, os.path.dirname(made))
    return {"removed": True, "why": ""}


def _remove_empty(*folders: "str") -> "None":
    """Remove these folders, the innermost first, as far as nothing else is in them: `afield clean` is to leave no trace."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            return


def refusal(prefix: "str", made: "str", keep: "Sequence[str]", *, foreign: "bool") -> "str":
    """Tell why this folder is not removed; "" when it may be."""
    if not os.path.isdir(prefix) or os.path.islink(prefix):
        return "it is no folder"
    real = os.path.realpath(prefix)
    for folder in keep:
        kept = os.path.realpath(folder)
        if kept == real or kept.startswith(real.rstrip("/") + "/"):
            return "%s is in it" % folder
    if made and os.path.dirname(real) == os.path.realpath(made):
        return ""
    marks = (os.path.join(prefix, "pyvenv.cfg"), os.path.join(prefix, "conda-meta", "history"))
    if not any(os.path.isfile(mark) for mark in marks):
        return "it is a Python of its own, not an environment"
    if os.path.exists(os.path.join(prefix, "condabin")) or os.path.isdir(os.path.join(prefix, "envs")):
        return "it is an installation of conda, and other environments hang on it"
    if not foreign:
        return "afield did not make it"
    return ""
