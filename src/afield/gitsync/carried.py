"""Whether a repository there holds anything that is not here: asked before it is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afield.errors import GitRefused
from afield.gitsync.look import check_oid

if TYPE_CHECKING:
    from afield.gitsync.ends import Here, There

# Tips that are looked up one by one here; a repository with more was not made for this project alone.
MOST_TIPS = 500


async def is_carried(here: Here, there: There) -> bool:
    """Say whether every branch, tag, stash and HEAD there is in the repository here. False also when git cannot say.

    What only a reflog or an index there knows does not count: its files are compared as files.
    """
    try:
        refs = await there.run("git", "for-each-ref", "--format=%(objectname)")
        head = await there.run("git", "rev-parse", "--quiet", "--verify", "HEAD")
        if refs.status != 0:
            return False
        tips = {check_oid(text) for text in (refs.out + head.out).split()}
        if len(tips) > MOST_TIPS:
            return False
        for tip in sorted(tips):
            if (await here.run("git", "cat-file", "-e", tip)).status != 0:
                return False
    except GitRefused:
        return False
    return True
