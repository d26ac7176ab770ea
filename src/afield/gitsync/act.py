"""The scripts that change a repository, and the steps that they carry out. Each changes one ref, with a check of its old value.

Rules: files of the work tree are never touched; a branch that is checked out moves together with the index (a two-tree
merge in the index alone, which keeps what was staged or refuses); whoever moved the ref meanwhile wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afield.gitsync.ends import script

if TYPE_CHECKING:
    from afield.gitsync.ends import Here, There
    from afield.gitsync.plan import Step

MESSAGE = "afield: git sync"
STAGED, MOVED = 7, 8
_BEGIN = """
cd -- "$1" || exit 9
old=$2 new=$3 ref=$4
zero=$(printf %s "$new" | tr 0-9a-f 0)
"""
_REF = _BEGIN + f'git update-ref -m "{MESSAGE}" "$ref" "$new" "${{old:-$zero}}" || exit {MOVED}\n'
_INDEX = f"""
from=${{old:-$(git hash-object -t tree /dev/null)}}
git -c submodule.recurse=false read-tree -i -m "$from" "$new" || exit {STAGED}
"""
_BACK = f'{{ git -c submodule.recurse=false read-tree -i -m "$new" "$from"; exit {MOVED}; }}'
_REFRESH = "\ngit -c submodule.recurse=false update-index -q --refresh >/dev/null 2>&1\nexit 0\n"
_CHECKOUT = _BEGIN + _INDEX + f'git update-ref -m "{MESSAGE}" HEAD "$new" "${{old:-$zero}}" || {_BACK}' + _REFRESH
_HEAD = (
    _BEGIN
    + _INDEX
    + f"""if [ -n "$ref" ]; then git symbolic-ref -m "{MESSAGE}" HEAD "$ref"
else git update-ref --no-deref -m "{MESSAGE}" HEAD "$new"; fi || {_BACK}"""
    + _REFRESH
)
SCRIPTS = {"ref": _REF, "checkout": _CHECKOUT, "head": _HEAD}
INIT = """
cd -- "$1" || exit 9
if [ "$2" = sha1 ]; then git init -q; else git init -q --object-format="$2"; fi || exit 1
git symbolic-ref HEAD "$3" || exit 1
[ -z "$4" ] || [ -n "$(git config user.name)" ] || git config user.name "$4"
[ -z "$5" ] || [ -n "$(git config user.email)" ] || git config user.email "$5"
exit 0
"""


async def take(end: Here | There, step: Step) -> str | None:
    """Take one step; gives why it was not taken, or None."""
    done = await script(end, SCRIPTS[step.kind], step.old or "", step.new, step.ref)
    name = step.ref.split("/", 2)[-1] or "HEAD"
    if done.status == 0:
        return None
    if done.status == STAGED:
        return f"{name} stays behind {end.name}: what is staged there does not fit (commit it, or unstage it)"
    if done.status == MOVED:
        return f"{name} moved meanwhile {end.name}: the next sync sees it"
    last = (done.err.strip().splitlines() or [f"exit {done.status}"])[-1]
    return f"{name} stays as it is {end.name}: {last}"
