"""Remove what afield put at a place: its caches, and folders that the client names  [P].

Rules: nothing outside the named folders, no symlink is followed, and never a home folder, its parents or ``/``. The run folder
goes when the agent ends, because its lock is in it.
"""

import errno
import os
import stat

from afield.errors import BadPath, RootRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

# What the starter and the code cache write; other things may live in the same folder when the place is this machine.
OURS = (".bundle", ".code", ".tmp")
# Of a removal in which somebody puts something meanwhile: once is the usual case, and nobody does it for ever.
TRIES = 5


def checked(path: "bytes") -> "bytes":
    """Make a folder's path absolute; raises RootRefused for ``/`` and the way to the home folder, BadPath for ``..``."""
    from afield.agent.spawn import expand, home

    if b".." in path.split(b"/"):
        raise BadPath("a folder to be removed must not contain ..: %s" % path.decode("utf-8", "replace"))
    whole = os.path.normpath(expand(path))
    real = os.path.realpath(whole)
    for kept in (whole, real):
        for guarded in (home(), os.path.realpath(home())):
            if kept == b"/" or guarded == kept or guarded.startswith(kept.rstrip(b"/") + b"/"):
                raise RootRefused("%s holds the home folder: it is not removed" % kept.decode("utf-8", "replace"))
    return whole


def clean(cache: "str", folders: "List[bytes]") -> "List[bytes]":
    """Remove our files from the cache folder, and the named folders; give what went. Blocks. Raises OSError."""
    removed = clean_cache(os.fsencode(cache)) if cache else []
    for folder in folders:
        try:
            status = os.lstat(folder)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(folder)
        else:
            _remove_tree(folder)
        removed.append(folder)
        _remove_default_parent(folder)
    return removed


def _remove_tree(folder: "bytes") -> "None":
    """Remove a folder, with what somebody (a view that is being made) puts there meanwhile. Raises OSError."""
    import shutil

    for left in reversed(range(TRIES)):
        try:
            shutil.rmtree(folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or not left:
                raise
            if not os.path.lexists(folder):
                return


def _remove_default_parent(folder: "bytes") -> "None":
    """Remove ``~/afield``, where project folders are put by default, when nothing else is in it."""
    from afield.agent.spawn import home

    parent = os.path.dirname(folder)
    if parent == os.path.join(home(), b"afield"):
        try:
            os.rmdir(parent)
        except OSError:
            pass


def clean_cache(cache: "bytes") -> "List[bytes]":
    """Remove the bundles, the marshalled code and what runs brought along, and the folder when nothing else is in it."""
    removed: "List[bytes]" = []
    carried = os.path.join(cache, b"carried")
    if os.path.isdir(carried) and not os.path.islink(carried):
        import shutil

        shutil.rmtree(carried)
        removed.append(carried)
    try:
        names = os.listdir(cache)
    except OSError:
        return removed
    for name in names:
        if os.fsdecode(name).endswith(OURS):
            os.unlink(os.path.join(cache, name))
            removed.append(os.path.join(cache, name))
    try:
        os.rmdir(cache)
        removed.append(cache)
    except OSError:
        pass
    return removed
