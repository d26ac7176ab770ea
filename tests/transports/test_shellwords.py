"""The remote command reaches the starter unchanged through every login shell that is on this machine."""

import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ConfigError
from afield.transports import shellwords

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "fish", "tcsh", "csh") if shutil.which(shell)]
# As long as a starter may be, with every character that base64 and a call around it use.
STARTER = 'import sys,base64;print(sys.version_info[0],len("' + "Ab+/=" * 780 + '"))'


def run(shell, line, tmp_path, path="/usr/local/bin:/usr/bin:/bin"):
    env = {"PATH": path, "HOME": str(tmp_path)}
    return subprocess.run(
        [shutil.which(shell), "-c", line], capture_output=True, env=env, stdin=subprocess.DEVNULL, timeout=20
    )


def fake(tmp_path, name, text):
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_named_python_runs_the_starter(shell, tmp_path):
    result = run(shell, shellwords.run_python("python3", STARTER), tmp_path)
    assert (result.stdout, result.stderr) == (b"3 3900\n", b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_python_below_the_home_folder_runs_the_starter(shell, tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "py").symlink_to(os.path.realpath(sys.executable))
    result = run(shell, shellwords.run_python("~/a b/py", STARTER), tmp_path)
    assert (result.stdout, result.stderr) == (b"3 3900\n", b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_search_finds_python3(shell, tmp_path):
    result = run(shell, shellwords.search_python(STARTER), tmp_path)
    assert (result.stdout, result.stderr) == (b"3 3900\n", b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_search_passes_over_old_and_broken_pythons(shell, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    fake(bin_folder, "python3.9", "exit 1")
    (bin_folder / "python3.8").symlink_to(os.path.realpath(sys.executable))
    for name in ("sh", "env"):
        (bin_folder / name).symlink_to(shutil.which(name))
    result = run(shell, shellwords.search_python(STARTER, trust_python3=False), tmp_path, path=str(bin_folder))
    assert (result.stdout, result.stderr) == (b"3 3900\n", b"")


def test_a_search_that_finds_only_old_ones_names_them_and_exits_127(tmp_path, monkeypatch):
    monkeypatch.setattr(shellwords, "USUAL", ("python3", "python"))
    fake(tmp_path, "python", 'echo "Unknown option: -I" >&2; exit 2')
    result = run("sh", shellwords.search_python("print(1)"), tmp_path, path=str(tmp_path))
    assert result.returncode == 127
    assert result.stderr == b"afield: no usable python: python\n"


def test_a_search_that_finds_none_says_so_and_exits_127(tmp_path, monkeypatch):
    monkeypatch.setattr(shellwords, "USUAL", ("python3", "python"))
    result = run("sh", shellwords.search_python("print(1)"), tmp_path, path=str(tmp_path))
    assert (result.returncode, result.stderr) == (127, b"afield: no usable python:\n")


@pytest.mark.parametrize("word", ["a\nb", "a\0b", "a\x7fb", "\x1b"])
def test_what_shells_read_differently_is_refused(word):
    with pytest.raises(ConfigError) as caught:
        shellwords.quote(word)
    assert caught.value.hint


@pytest.mark.parametrize("shell", SHELLS)
def test_words_survive_the_quotes(shell, tmp_path):
    words = [
        "",
        " ",
        "a b",
        '"',
        "$HOME",
        "`x`",
        "*",
        "~",
        "#",
        "a;b",
        "{a,b}",
        "(",
        "%1",
        "^x",
        "<>",
        "ä",
        "&",
        "|",
        "[a]",
        "-n?",
        "it's",
        "''",
        "a\\b",
        "\\",
        "a!b",
        "!!",
        "'!\\'",
    ]
    line = "printf %s// " + " ".join(shellwords.quote(word) for word in words)
    assert run(shell, line, tmp_path).stdout.decode() == "".join(word + "//" for word in words)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_a_quoted_word_is_one_word_for_a_posix_shell(word):
    import shlex

    if not word.startswith("~/"):
        assert shlex.split(shellwords.quote(word)) == [word]
