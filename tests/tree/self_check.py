"""Runs the portable tree code over made-up input and prints a digest of all that came out: equal under every Python.

Arguments: the folder that holds the package. Standard library and Python 3.6 only.
"""

import hashlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

from afield.errors import ProtocolError
from afield.tree import guard, listing, plan
from afield.tree import paths as P
from afield.tree.entries import FOLDER, Entry, Node, Stat, decode_entries, encode_entries, entry_parts
from afield.tree.ignore import Ignore
from afield.tree.modes import MODES
from afield.tree.reconcile import reconcile, undecided

UNWANTED = {
    "asyncio",
    "socket",
    "subprocess",
    "threading",
    "random",
    "logging",
    "json",
    "typing",
    "dataclasses",
}
seen = hashlib.sha256()
state = 12345


def chance(limit):
    """Give a number below the limit: the same row of them under every Python."""
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
    return (state >> 33) % limit


def note(*values):
    seen.update(repr(values).encode())


def some_tree():
    tree = {}
    for _ in range(chance(12)):
        path = b"/".join(b"abc"[chance(3) :][:1] for _ in range(1 + chance(3)))
        if path in tree or any(tree.get(above, FOLDER) != FOLDER for above in P.parents(path)):
            continue
        for above in P.parents(path):
            tree[above] = FOLDER
        kind = chance(6)
        content = [b"A" * 32, b"B" * 32, None][chance(3)]
        tree[path] = FOLDER if kind == 0 else Node("l", False, b"x") if kind == 1 else Node("f", kind == 2, content)
    return tree


def entries(tree):
    return {path: Entry(node, Stat(len(path), 10**18 + chance(99), chance(1 << 40), -1)) for path, node in tree.items()}


def check_reconcile():
    for _ in range(300):
        base, here, there = some_tree(), some_tree(), some_tree()
        note(undecided(base, here, there))
        for mode in sorted(MODES):
            outcome = reconcile(base, here, there, mode, keep=[b"c/c"])
            note(mode, [tuple(map(repr, part)) for part in outcome])
            target = entries(there)
            ops = plan.with_moves(plan.ops_for(outcome.to_there, target, entries(here)), target)
            note([sorted(op.items()) for op in ops])


def check_entries():
    for _ in range(50):
        tree = entries(some_tree())
        pairs = sorted(tree.items())
        assert decode_entries(encode_entries(pairs)) == pairs
        assert [pair for part in entry_parts(pairs) for pair in part] == pairs
        numbers = [number for _, entry in pairs for number in entry.stat]
        note(pairs, listing.digest_of([path for path, _ in pairs], listing.pack_numbers(numbers)))
    pairs = [
        (b"f/%d" % number, Entry(Node("f", False, None), Stat(number, -number, number, 0))) for number in range(5000)
    ]
    assert decode_entries(encode_entries(pairs)) == pairs
    for cut in range(40):
        try:
            decode_entries(encode_entries(pairs[:3])[:cut])
        except ProtocolError as error:
            note(str(error))


def check_ignore():
    ignore = Ignore()
    ignore.add_rules(b"", b"*.log\n!keep.log\n/b*/**/x?\n**/[a-c]\\*\n*a*a*a*b\n[[:digit:]]*\n", ".gitignore")
    ignore.add_rules(b"b", b"!xy\n\xff*\n", "b/.afieldignore")
    for _ in range(2000):
        path = b"/".join(
            [b"a", b"b", b"bb", b"x", b"xy", b"keep.log", b"a.log", b"a*", b"aaab", b"7", b"\xffz", b"m.pyc"][
                chance(12)
            ]
            for _ in range(1 + chance(4))
        )
        note(path, ignore.decide(path, bool(chance(2))))


def check_rest():
    for name in ("README", "Straße", "É", "Ωώ", "ŉ"):
        note(P.fold(name.encode("utf-8")), P.fold(name.encode("utf-8") + b"\xff"))
    note(guard.check_plan(target="there", source="here", removed=30, held=31))


check_reconcile()
check_entries()
check_ignore()
loaded = UNWANTED & set(sys.modules) if sys.flags.no_site else set()
assert not loaded, sorted(loaded)
check_rest()
print(seen.hexdigest())
