"""What one side's repository is like: the script that looks, and its answer as a value. Pure.

Rules: one program per look, the same for both sides (POSIX sh and git 2.20 or newer); it takes no lock and changes
nothing; what it prints is checked, since it comes from a place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from afield.errors import GitRefused, ProtocolError

SCRIPT = r"""
cd -- "$1" 2>/dev/null || { echo "state no-folder"; exit 0; }
command -v git >/dev/null 2>&1 || { echo "state no-git"; exit 0; }
export GIT_OPTIONAL_LOCKS=0
here=$(pwd -P)
top=$(git rev-parse --show-toplevel 2>&1) || { echo "state none"; echo "why $top"; exit 0; }
[ "$top" = "$here" ] || { echo "state inside"; echo "why $top"; exit 0; }
echo "state repository"
dir=$(git rev-parse --absolute-git-dir)
echo "shallow $(git rev-parse --is-shallow-repository)"
echo "format $(git rev-parse --show-object-format 2>/dev/null || echo sha1)"
echo "head $(git symbolic-ref -q HEAD || echo detached)"
echo "at $(git rev-parse -q --verify 'HEAD^{commit}' || echo none)"
for name in index.lock HEAD.lock shallow.lock MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG rebase-merge rebase-apply sequencer
do [ -e "$dir/$name" ] && echo "busy $name"; done
echo "own $here"
git worktree list --porcelain 2>/dev/null | sed 's/^/tree /'
echo "name $(git config user.name)"
echo "email $(git config user.email)"
[ -f .gitmodules ] && echo "submodules"
grep -qs 'filter=lfs' .gitattributes && { git config filter.lfs.clean >/dev/null || echo "lfs"; }
git for-each-ref --format='ref %(objectname) %(refname)' refs/heads refs/tags refs/afield
echo "end"
"""

BUSY = {
    "index.lock": "another git command works in it (or one died: .git/index.lock)",
    "HEAD.lock": "another git command works in it (or one died: .git/HEAD.lock)",
    "shallow.lock": "another git command works in it (or one died: .git/shallow.lock)",
    "MERGE_HEAD": "a merge is not finished",
    "CHERRY_PICK_HEAD": "a cherry-pick is not finished",
    "REVERT_HEAD": "a revert is not finished",
    "BISECT_LOG": "a bisection is under way",
    "rebase-merge": "a rebase is not finished",
    "rebase-apply": "a rebase or an am is not finished",
    "sequencer": "a cherry-pick or a revert is not finished",
}
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
# git-check-ref-format(1): these never stand in a ref; a leading dash would be taken for an option.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|/-|\.lock(?:/|\Z)|/\Z|\.\Z")


@dataclass(frozen=True)
class Repository:
    """One side. ``head`` is a ref's name, or None when detached; ``at`` the commit there, None while unborn.

    ``heads`` and ``tags``: short name → object id; ``elsewhere``: branches checked out in other work trees.
    """

    exists: bool
    head: str | None = None
    at: str | None = None
    heads: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    busy: str | None = None
    shallow: bool = False
    format: str = "sha1"
    name: str = ""
    email: str = ""
    submodules: bool = False
    lfs: bool = False


def parse(text: str, side: str) -> Repository:
    """Read what SCRIPT printed at ``side`` ("here" or "there"). Raises GitRefused, ProtocolError."""
    lines = text.splitlines()
    words = [line.partition(" ")[::2] for line in lines]
    first = dict(reversed(words))
    state, why = first.get("state"), first.get("why", "")
    if state == "no-git":
        raise GitRefused(f"git was not found {side}", hint=f"install git {side}, or leave `sync.git` off")
    if state == "no-folder":
        raise GitRefused(f"the project's folder {side} does not exist", hint="run: afield up")
    if state == "none" and ("not a git repository" in why or not why):
        return Repository(exists=False)
    if state == "none":
        raise GitRefused(f"git does not take the repository {side}: {why}", hint=f"run `git status` {side}")
    if state == "inside":
        if side == "there":
            return Repository(exists=False)  # of a folder above, which has nothing to do with this project
        raise GitRefused(
            f"the project is a part of the larger repository {why}", hint="make that folder the project: afield init"
        )
    if state != "repository" or not lines or lines[-1] != "end":
        raise ProtocolError(f"expected the state of a repository {side}, got {text[-200:]!r}")
    return _repository(words, first)


def _repository(words: list[tuple[str, str]], first: dict[str, str]) -> Repository:
    refs: dict[str, str] = {}
    for kind, rest in words:
        if kind == "ref":
            oid, _, name = rest.partition(" ")
            refs[check_ref(name)] = check_oid(oid)
    head, at = first.get("head", "detached"), first.get("at", "none")
    busy = next((name for kind, name in words if kind == "busy"), None)
    return Repository(
        exists=True,
        head=None if head == "detached" else check_ref(head),
        at=None if at == "none" else check_oid(at),
        heads={name.removeprefix("refs/heads/"): oid for name, oid in refs.items() if name.startswith("refs/heads/")},
        tags={name.removeprefix("refs/tags/"): oid for name, oid in refs.items() if name.startswith("refs/tags/")},
        known=frozenset(refs.values()) | ({at} if at != "none" else set()),
        elsewhere=_elsewhere(words, first.get("own", "")),
        busy=None if busy is None else BUSY.get(busy, busy),
        shallow=first.get("shallow") == "true",
        format=first.get("format", "sha1"),
        name=first.get("name", ""),
        email=first.get("email", ""),
        submodules=("submodules", "") in words,
        lfs=("lfs", "") in words,
    )


def _elsewhere(words: list[tuple[str, str]], own: str) -> frozenset[str]:
    """Branches that other work trees of the repository have checked out."""
    found, path = set(), own
    for kind, rest in words:
        if kind != "tree":
            continue
        key, _, value = rest.partition(" ")
        if key == "worktree":
            path = value
        elif key == "branch" and path != own:
            found.add(value.removeprefix("refs/heads/"))
    return frozenset(found)


def check_oid(text: str) -> str:
    """Give an object id back. Raises ProtocolError for anything else."""
    if not _OID.match(text):
        raise ProtocolError(f"expected an object id of git, got {text[:80]!r}")
    return text


def check_ref(text: str) -> str:
    """Give the full name of a ref back. Raises ProtocolError for anything that git would not take."""
    if not text.startswith("refs/") or _BAD_REF.search(text):
        raise ProtocolError(f"expected the name of a ref, got {text[:80]!r}")
    return text
