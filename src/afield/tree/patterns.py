"""One line of an ignore file: what it says, and the regular expression that says the same  [P].

The meaning is git's (gitignore(5), and where that is silent what ``git check-ignore`` does: the tests ask it). Rules:
bytes in, bytes out; a line that git can never match gives a pattern that never matches. Expressions are written so that
matching a name takes time in proportion to its length, whatever the pattern: the text may come from a peer. Which file
the line is in, and which rule wins, is not known here (``ignore.py``).
"""

import re
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import FrozenSet, List, NamedTuple, Optional, Set, Tuple, Union

    Token = Union[bytes, FrozenSet[int]]

    class Pattern(NamedTuple):
        """One rule."""

        text: bytes
        negated: bool
        only_folders: bool
        in_folder: bool
        body: bytes

else:
    Pattern = namedtuple("Pattern", "text negated only_folders in_folder body")
    Pattern.__doc__ = """One rule.

    ``text``: the line as a person wrote it; ``negated``: it takes back what earlier ones left out; ``only_folders``: it
    ended in a slash; ``in_folder``: it is about paths from the folder of its file on, otherwise about any name below;
    ``body``: what is to match, without the signs for all that.
    """

MAX_SPELLED = 32  # *.sw[a-p] has 16; looking a name up beats an expression up to hundreds
FLAGS = re.DOTALL  # a name may hold a newline
NEVER = rb"(?!)"
_SPECIAL = re.compile(rb"[*?\[\\]")
_BOM = b"\xef\xbb\xbf"
# POSIX classes in ASCII, as git has them; its white space is without vertical tab and form feed.
_SPACE = b" \t\n\r"
_DIGIT = b"0123456789"
_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_ALPHA = _LOWER + _LOWER.upper()
_GRAPH = bytes(range(0x21, 0x7F))
_CLASSES = {
    b"alnum": _ALPHA + _DIGIT,
    b"alpha": _ALPHA,
    b"blank": b" \t",
    b"cntrl": bytes(range(0x20)) + b"\x7f",
    b"digit": _DIGIT,
    b"graph": _GRAPH,
    b"lower": _LOWER,
    b"print": b" " + _GRAPH,
    b"punct": bytes(byte for byte in _GRAPH if byte not in _ALPHA + _DIGIT),
    b"space": _SPACE,
    b"upper": _LOWER.upper(),
    b"xdigit": _DIGIT + b"abcdefABCDEF",
}


def parse_lines(text: "bytes") -> "List[Tuple[int, Pattern]]":
    """Give (line number from 1, pattern) for each line that is one."""
    if text.startswith(_BOM):
        text = text[len(_BOM) :]
    found = []
    for number, line in enumerate(text.split(b"\n"), 1):
        pattern = parse(line)
        if pattern is not None:
            found.append((number, pattern))
    return found


def parse(line: "bytes") -> "Optional[Pattern]":
    """Give the pattern of a line without its newline, None for an empty line or a comment."""
    if not line or line.startswith(b"#"):
        return None
    if line.endswith(b"\r"):
        line = line[:-1]
    text = _without_spaces(line.split(b"\0", 1)[0])  # git's strings end at a NUL
    body = text
    negated = body.startswith(b"!")
    if negated:
        body = body[1:]
    only_folders = body.endswith(b"/")
    if only_folders:
        body = body[:-1]
    return Pattern(text, negated, only_folders, b"/" in body, body)


def _without_spaces(text: "bytes") -> "bytes":
    """Take off spaces at the end that no backslash keeps."""
    end, place = 0, 0
    while place < len(text):
        if text[place : place + 1] == b"\\":
            if place + 1 == len(text):
                return text
            place += 2
            end = place
        else:
            place += 1
            if text[place - 1 : place] != b" ":
                end = place
    return text[:end]


def spelled_out(pattern: "Pattern") -> "Optional[Tuple[bool, List[bytes]]]":
    """Give all that a simple pattern matches: whether anything may stand before, and the few possible (rest of the) texts.

    None when there is more to the pattern than a star in front, plain bytes and small brackets.
    """
    body = pattern.body[1:] if pattern.in_folder and pattern.body.startswith(b"/") else pattern.body
    tokens = _tokens(body, pattern.in_folder)
    if tokens is None:
        return False, []
    star = not pattern.in_folder and tokens[:1] == [_STAR]
    texts = [b""]
    for token in tokens[1:] if star else tokens:
        if isinstance(token, bytes) or len(texts) * len(token) > MAX_SPELLED:
            return None
        texts = [text + bytes((byte,)) for text in texts for byte in sorted(token)]
    return star, texts


def fixed_folder(pattern: "Pattern") -> "bytes":
    """Give the folders, with a slash behind each, in which all paths are that a pattern about paths can match."""
    body = pattern.body[1:] if pattern.body.startswith(b"/") else pattern.body
    special = _SPECIAL.search(body)
    return body[: body.rfind(b"/", 0, special.start() if special else len(body)) + 1]


def expression(pattern: "Pattern") -> "bytes":
    """Give the expression for ``match`` (flags ``FLAGS``), over a name or over a path from the pattern's folder on."""
    if not pattern.in_folder:
        return _translate(pattern.body, in_folder=False)
    body = pattern.body[1:] if pattern.body.startswith(b"/") else pattern.body
    # git compares what is before the first special character by itself, so ** right behind it counts as a start.
    special = _SPECIAL.search(body)
    cut = special.start() if special else len(body)
    return re.escape(body[:cut]) + _translate(body[cut:], in_folder=True)


def can_be_joined(text: "bytes") -> "bool":
    """Tell whether the expression may stand in an alternation with others (it has no named groups)."""
    return b"(?P<" not in text


# The parts of a pattern that match any number of bytes: a run without a slash, folders (any number; at least one slash),
# all that is left. Every other part matches one byte and is the set of the bytes that do.
_ANY = frozenset(range(256))
_NO_SLASH = _ANY - {0x2F}
_STAR, _DEEP, _DEEPER, _REST = b"*", b"**/", b"**\\/", b"**"


def _translate(body: "bytes", in_folder: "bool") -> "bytes":
    tokens = _tokens(body, in_folder)
    if tokens is None:
        return NEVER
    rest = tokens[-1:] == [_REST]
    sections = [(b"", [])]  # type: List[Tuple[bytes, List[Token]]]
    for token in tokens[:-1] if rest else tokens:
        if isinstance(token, bytes) and token != _STAR:
            sections.append((token, []))
        else:
            sections[-1][1].append(token)
    writer = _Writer(b"[^/]*" if in_folder else b".*")
    text = b"".join(writer.section(lead, part, final=False) for lead, part in sections[:-1])
    return text + writer.section(*sections[-1], final=True) + (b"" if rest else rb"\Z")


class _Writer:
    """Writes expressions that never try the same thing twice.

    Of several ways to match what is between two runs of anything, the leftmost is as good as any other, for the second
    run can take up the difference: once found it is not given up. Python 3.11 has ``(?>...)`` for that; before, a group in
    a look-ahead that is then matched again does it.
    """

    def __init__(self, run: "bytes") -> "None":
        self._run = run
        self._groups = 0

    def section(self, lead: "bytes", tokens: "List[Token]", *, final: "bool") -> "bytes":
        """Write what is between two ``**``; in it the number of slashes is fixed."""
        pieces = _split(tokens)
        text = b"".join(pieces[0])
        for piece in pieces[1:-1]:
            text += self._atomic(self._run + b"?" + b"".join(piece))
        if len(pieces) > 1:
            text += self._run + b"".join(pieces[-1])
        if not lead:
            return text
        if final:
            return (b"(?:.*/)?" if lead == _DEEP else b".*/") + text
        return self._atomic((b"(?:.*?/)??" if lead == _DEEP else b".*?/") + text)

    def _atomic(self, text: "bytes") -> "bytes":
        self._groups += 1
        name = b"g%d" % self._groups
        return b"(?=(?P<" + name + b">" + text + b"))(?P=" + name + b")"


def _split(tokens: "List[Token]") -> "List[List[bytes]]":
    pieces = [[]]  # type: List[List[bytes]]
    for token in tokens:
        if isinstance(token, bytes):
            pieces.append([])
        else:
            pieces[-1].append(_one_of(token))
    return pieces


def _tokens(body: "bytes", in_folder: "bool") -> "Optional[List[Token]]":
    """Cut a pattern into tokens; None when git never matches it (a backslash at the end, an open bracket)."""
    tokens = []  # type: List[Token]
    place = 0
    while place < len(body):
        sign = body[place : place + 1]
        token = frozenset(sign)  # type: Token
        if sign == b"*":
            token, place = _star(body, place, in_folder)
        elif sign == b"[":
            allowed, place = _bracket(body, place + 1)
            if allowed is None:
                return None
            token = frozenset(allowed - {0x2F} if in_folder else allowed)
        elif sign == b"?":
            token, place = _NO_SLASH if in_folder else _ANY, place + 1
        elif sign == b"\\":
            if place + 1 == len(body):
                return None
            token, place = frozenset(body[place + 1 : place + 2]), place + 2
        else:
            place += 1
        tokens.append(token)
    return tokens


def _star(body: "bytes", start: "int", in_folder: "bool") -> "Tuple[bytes, int]":
    end = start
    while body[end : end + 1] == b"*":
        end += 1
    if not in_folder or end - start < 2 or (start and body[start - 1 : start] != b"/"):
        return _STAR, end
    if end == len(body):
        return _REST, end
    if body[end : end + 1] == b"/":
        return _DEEP, end + 1
    if body[end : end + 2] == b"\\/":
        return _DEEPER, end + 2
    return _STAR, end


def _one_of(allowed: "FrozenSet[int]") -> "bytes":
    if len(allowed) > 128:
        others = _ANY - allowed
        return b"[^" + b"".join(map(_escaped, sorted(others))) + b"]" if others else b"."
    if len(allowed) == 1:
        return _escaped(min(allowed))
    return b"[" + b"".join(map(_escaped, sorted(allowed))) + b"]" if allowed else NEVER


def _escaped(byte: "int") -> "bytes":
    return re.escape(bytes((byte,)))


def _bracket(body: "bytes", place: "int") -> "Tuple[Optional[Set[int]], int]":
    """Give the bytes that a bracket expression matches (None: it has no end) and where it ends."""
    negated = body[place : place + 1] in (b"!", b"^")
    if negated:
        place += 1
    allowed = set()  # type: Set[int]
    before = 0  # the byte that a range could start with
    first = True
    while first or body[place : place + 1] != b"]":
        first = False
        sign = body[place : place + 1]
        if sign == b"[" and body[place + 1 : place + 2] == b":":
            named, place = _named_class(body, place)
            if named is None:
                return None, place
            allowed.update(named)
            before = sign[0] if named == b"[" else 0
            continue
        is_range = sign == b"-" and before and body[place + 1 : place + 2] not in (b"", b"]")
        if is_range:
            place += 1
            sign = body[place : place + 1]
        if sign == b"\\":
            place += 1
            sign = body[place : place + 1]
        if not sign:
            return None, place
        allowed.update(range(before, sign[0] + 1) if is_range else sign)
        before = 0 if is_range else sign[0]
        place += 1
    return (set(range(256)) - allowed if negated else allowed), place + 1


def _named_class(body: "bytes", place: "int") -> "Tuple[Optional[bytes], int]":
    """Give the bytes of ``[:name:]`` and where it ends; just the bracket when it is none; None for an unknown name."""
    end = body.find(b"]", place + 2)
    if end < 0:
        return None, place
    if end - place < 3 or body[end - 1 : end] != b":":
        return b"[", place + 1
    return _CLASSES.get(body[place + 2 : end - 1]), end + 1
