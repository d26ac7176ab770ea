"""The door of the command line: exit statuses, wrong words, closed and full descriptors. The real command, without a daemon."""

import os
import subprocess
import sys

import pytest

from afield.cli.terminal import printable
from afield.control import spawn


@pytest.fixture
def afield(tmp_path):
    """Run the command in an empty folder with own settings; gives the finished process."""
    env = {**os.environ, "AFIELD_RUN_DIR": str(tmp_path / "run"), "AFIELD_STATE_DIR": str(tmp_path / "state")}
    env.update(XDG_CONFIG_HOME=str(tmp_path / "config"), HOME=str(tmp_path / "home"))
    (tmp_path / "work").mkdir()

    def run(*words, extra=None, **more):
        more.setdefault("stdout", subprocess.PIPE)
        command = more.pop("command", [*spawn.cli_command(), *words])
        return subprocess.run(
            command,
            cwd=tmp_path / "work",
            env={**env, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    run.folder = tmp_path / "work"
    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], "no command 'nosuch'"),
        (["statsu"], "did you mean: afield status"),
        (["-C"], "afield -C FOLDER COMMAND"),
        (["-C", "/nosuch", "up"], "-C /nosuch: No such file or directory"),
        (["up", "--nosuch"], "afield up --help"),
        (["up"], "no afield.toml"),
        (["run", "true"], "no afield.toml"),
        (["init", ""], "for example ssh://me@gpu1"),
        (["init", "--name", "a b", "gpu1"], "a b"),
        (["processes", "--signal", "NOSUCH"], "expected a signal"),
        (["forward", "--stop"], "afield forward --help"),
    ],
)
def test_wrong_words_give_status_2_and_a_hint(afield, words, said):
    done = afield(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "init"),
        ("[machines.m\n", "TOML"),
        ("[machines.m]\nplace = 3\n", "ssh://user@host"),
        ('[machines.m]\nplace = "gpu1"\nask_above = "1 GB"\n', "sync.ask-above"),
        ('[machines.m]\nplace = "gpu1"\nmode = "push"\n', "sync.mode"),
        ('[machines.m]\nplace = "gpu1"\nfoldr = "x"\n', "did you mean folder"),
    ],
)
def test_a_wrong_afield_toml_is_named_with_what_to_write(afield, text, said):
    (afield.folder / "afield.toml").write_text(text)
    done = afield("config")
    assert done.returncode == 2
    assert str(afield.folder / "afield.toml") in done.stderr
    assert said in done.stderr.partition("hint: ")[2]


def test_a_full_disk_is_one_line(afield):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = afield("--help", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "afield: the output cannot be written: No space left on device\n"


def test_a_reader_that_went_away_ends_it_quietly(afield):
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = afield("--help", stdout=theirs)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_as_good_as_dev_null(afield, closed):
    done = afield(command=["sh", "-c", f'"$@" {closed}', "sh", *spawn.cli_command(), "status"])
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_help_and_version_go_to_stdout(afield):
    assert afield("--version").stdout.startswith("afield ")
    assert afield("help", "up").stdout == afield("up", "--help").stdout
    assert afield().returncode == 2


def test_an_output_that_cannot_say_everything_says_it_otherwise(afield):
    """A Latin-1 terminal, say; Python's own answer is a traceback."""
    done = afield(command=[sys.executable, "-m", "afield.cli", "--help"], extra={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "COMMAND \\u2026" in done.stdout


@pytest.mark.parametrize("words", [["status"], ["up"], ["run", "true"], ["init", "gpu1"]])
def test_a_working_folder_that_is_gone_is_named(afield, words):
    script = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    done = afield(command=["sh", "-c", script, "sh", *spawn.cli_command(), *words])
    assert done.returncode == 2
    assert "the working folder does not exist any more" in done.stderr


def test_names_that_are_not_utf8_or_drive_terminals_are_shown_as_their_bytes():
    assert printable(b"bad\xff\x1b[2J\xe2\x82\xac".decode("utf-8", "surrogateescape")) == "bad\\xff\\x1b[2J€"
