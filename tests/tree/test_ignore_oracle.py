"""The ignore rules mean what git says they mean: every path of a tree is asked of both."""

import os
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afield.tree.ignore import Ignore

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")

WORDS = [
    b"a",
    b"b",
    b"ab",
    b"a.b",
    b"b.py",
    b".x",
    b"a b",
    b"a ",
    b"*",
    b"[a]",
    b"!a",
    b"#a",
    b"\xff",
    b"\xc3\xa9",
    b"-",
    b"]",
    b"\\",
    b"\n",
]
FOLDERS = [
    b"",
    b"a",
    b"a/b",
    b"a/b/ab",
    b"b",
    b"b/a",
    b"ab",
    b"a b",
    b"[a]",
    b"a.b",
    b"\xff",
    b"a/a",
    b"a/a/a",
    b"a/b/ab/a",
]
RULE_FOLDERS = [b"", b"a", b"a/b", b"b"]


class Git:
    """A repository with a fixed tree and changing ignore files."""

    def __init__(self, root):
        self.root = os.fsencode(root)
        self.env = dict(os.environ, HOME=str(root), GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
        self.env.update(XDG_CONFIG_HOME=str(root))
        subprocess.run(["git", "init", "-q", "."], cwd=root, env=self.env, check=True)
        self.paths = {}
        for folder in FOLDERS:
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        for folder in FOLDERS:
            for word in WORDS:
                path = folder + b"/" + word if folder else word
                if not os.path.exists(os.path.join(self.root, path)):
                    with open(os.path.join(self.root, path), "wb"):
                        pass
                self.paths[path] = os.path.isdir(os.path.join(self.root, path))

    def write(self, files):
        for folder in RULE_FOLDERS:
            name = os.path.join(self.root, folder, b".gitignore")
            if folder in files:
                with open(name, "wb") as file:
                    file.write(files[folder])
            elif os.path.exists(name):
                os.unlink(name)

    def ask(self):
        done = subprocess.run(
            ["git", "-c", "core.ignorecase=false", "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"],
            cwd=self.root,
            env=self.env,
            input=b"\0".join(self.paths) + b"\0",
            stdout=subprocess.PIPE,
            check=False,
        )
        assert done.returncode in (0, 1)
        fields = done.stdout.split(b"\0")[:-1]
        return {path: (source, line, text) for source, line, text, path in zip(*[iter(fields)] * 4, strict=True)}


@pytest.fixture(scope="module")
def git(tmp_path_factory):
    return Git(tmp_path_factory.mktemp("oracle"))


def check_same(git, files):
    git.write(files)
    ignore = Ignore(built_in=False)
    for folder, text in files.items():
        ignore.add_rules(folder, text, os.fsdecode(folder + b"/.gitignore" if folder else b".gitignore"))
    answers = git.ask()
    for path, is_dir in git.paths.items():
        source, line, text = answers[path]
        mine = ignore.decide(path, is_dir)
        theirs = (bool(source) and not text.startswith(b"!"), os.fsdecode(source) or None, int(line or 0))
        assert (mine.ignored, mine.source, mine.line) == theirs, (path, mine, answers[path])


bits = st.sampled_from(
    [
        b"a",
        b"b",
        b"ab",
        b".",
        b"*",
        b"**",
        b"**/",
        b"/**",
        b"/",
        b"?",
        b"[ab]",
        b"[!a]",
        b"[^b]",
        b"[a-b]",
        b"[]a]",
        b"[]-a]",
        b"[a",
        b"[[:alpha:]]",
        b"[[:punct:]b]",
        b"[[:nope:]]",
        b"[[:]",
        b"[\\]a]",
        b"[!-~]",
        b"[a-]",
        b"\\",
        b"\\*",
        b"\\a",
        b"\\/",
        b"\\[",
        b" ",
        b"\\ ",
        b"!",
        b"#",
        b"\\!",
        b"\\#",
        b"\xff",
        b"\xc3\xa9",
        b"-",
        b"]",
        b"py",
        b"\t",
        b"\r",
        b"x",
    ]
)
odd_lines = st.lists(bits, min_size=1, max_size=6).map(b"".join)
usual_lines = st.builds(
    lambda *parts: b"".join(parts),
    st.sampled_from([b"", b"", b"", b"!"]),
    st.sampled_from([b"", b"", b"/", b"**/", b"a/", b"*/"]),
    st.sampled_from([b"a", b"b", b"*.py", b"*", b"a*", b"*b", b"?", b"[ab]", b"a.b", b"ab", b"*[ab]*"]),
    st.sampled_from([b"", b"", b"/", b"/*", b"/**", b"/**/a", b" ", b"\r"]),
)
texts = st.builds(
    lambda bom, lines, end: bom + b"\n".join(lines) + end,
    st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"]),
    st.lists(st.one_of(odd_lines, usual_lines), min_size=1, max_size=5),
    st.sampled_from([b"\n", b"", b"\r\n"]),
)


@given(st.dictionaries(st.sampled_from(RULE_FOLDERS), texts, min_size=1, max_size=3))
@example({b"": b"a**/b\n**b/a\na/**/**/a\n"})
@example({b"": b"[ab]**/b\n?**/a\n[a]/**b\n"})
@example({b"": b"a/**\n!a/b/\n"})
@example({b"": b"\\\na\\\n[\n"})
@example({b"": b"/\n//\n!\n \n\\ \na\\ \n", b"a": b"*\n!b\n"})
@example({b"": b"\\/a\n//a\na//b\n"})
@example({b"": b"a\0b\n#a\n\\#a\n\\!a\n"})
def test_every_path_is_decided_as_git_decides_by_the_same_line(git, files):
    check_same(git, files)


def test_bracket_expressions_hold_the_same_bytes_as_those_of_git(tmp_path):
    classes = [
        b"alnum",
        b"alpha",
        b"blank",
        b"cntrl",
        b"digit",
        b"graph",
        b"lower",
        b"print",
        b"punct",
        b"space",
        b"upper",
        b"xdigit",
    ]
    sets = [b"[[:%s:]]" % name for name in classes] + [
        b"[!-/]",
        b"[^[:alpha:]0-]",
        b"[\\--9]",
        b"[a-c-z]",
        b"[[-a]",
        b"?",
        b"*",
    ]
    git = Git(tmp_path)
    git.paths = {b"q" + bytes([byte]): False for byte in range(1, 256) if bytes([byte]) != b"/"}
    for expression in sets:
        check_same(git, {b"": b"q" + expression})
