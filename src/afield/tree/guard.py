"""Says no to a plan that looks like an accident  [P].

The accidents: a folder that was emptied (a disk that is not mounted, where it still has our state), a script that wiped a
part of it. Rules: counts in, a verdict out; a person can allow each by the code of the verdict. No paths, no trees.
"""

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, NamedTuple

    class Verdict(NamedTuple):
        """Whether the plan may be carried out."""

        ok: bool
        code: str
        text: str
        hint: str

else:
    Verdict = namedtuple("Verdict", "ok code text hint")
    Verdict.__doc__ = (
        "Whether the plan may be carried out; if not: a stable code, what is strange about it, what to do."
    )

# Removing a handful of files is daily work even when it is most of a small project; git brings them back.
FEW = 20
# More than half of what is there: switching branches rarely does it, an unmounted disk always does.
SHARE = 0.5
FINE = Verdict(True, "", "", "")


def check_plan(
    *,
    target: "str",
    source: "str",
    removed: "int",
    held: "int",
    source_empty: "bool" = False,
    allowed: "Container[str]" = (),
) -> "Verdict":
    """Judge what would be removed on one side because it is gone on the other.

    ``target`` and ``source`` name the sides to a person. ``removed``: files that would go from the target, of the ``held``
    that are there; ``source_empty``: nothing is left at the source. ``allowed``: codes that a person has agreed to.
    """
    if not removed:
        return FINE
    if source_empty and removed > 1 and "root-empty" not in allowed:
        text = "the folder %s is empty now; all %d files would be removed %s" % (source, removed, target)
        return Verdict(False, "root-empty", text, "is its disk mounted? If it is meant to be empty: afield sync --yes")
    if removed > FEW and removed > held * SHARE and "many-removals" not in allowed:
        text = "%d of %d files would be removed %s, because they are gone %s" % (removed, held, target, source)
        return Verdict(
            False, "many-removals", text, "the list: afield sync --dry-run; if it is what you want: afield sync --yes"
        )
    return FINE
