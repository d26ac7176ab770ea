"""The command line without a daemon: help, wrong uses, exit statuses, and that nothing heavy is loaded."""

import subprocess
import sys

import pytest

from afield import __version__
from afield.cli.main import main
from afield.cli.verbs import VERBS


def test_version_and_help_go_to_stdout(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"afield {__version__}\n"
    assert main(["--help"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    for verb in VERBS:
        assert f"  {verb.name} " in told.out


def test_no_command_shows_the_overview_and_is_a_usage_error(capsys):
    assert main([]) == 2
    assert "first steps" in capsys.readouterr().out


def test_a_mistyped_command_gets_the_nearest_as_a_hint(capsys):
    assert main(["statsu"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "did you mean: afield status" in told.err


@pytest.mark.parametrize("words", [["--help"], *([verb.name, "--help"] for verb in VERBS)])
def test_help_fits_a_terminal_of_80_columns_but_for_examples(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(words) == 0
    wide = [line for line in capsys.readouterr().out.split("\n") if len(line) > 80]
    assert [line for line in wide if "afield " not in line.strip()[:7]] == []


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_command_explains_itself(verb, capsys):
    assert main([verb, "--help"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("usage: afield " + verb)
    assert told.err == ""


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS if verb.module != "runs"])
def test_a_wrong_option_is_a_usage_error_with_a_hint(verb, capsys):
    assert main([verb, "--no-such-option"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"hint: afield {verb} --help" in told.err


@pytest.mark.parametrize("words", [["status", "--json"], ["config"], ["up"], ["python", "x.py"], ["run", "true"]])
def test_outside_a_project_the_way_in_is_named(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFIELD_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("AFIELD_STATE_DIR", str(tmp_path / "state"))
    status = main(words)
    told = capsys.readouterr()
    if words[0] == "status":
        assert (status, told.err) == (0, "")
        assert '"daemon": null' in told.out
    else:
        assert status == 2
        assert "hint: make one with: afield init" in told.err


@pytest.mark.parametrize(
    "words",
    [
        ["tree", "-L", "0"],
        ["history", "-n", "x"],
        ["history", "-n", "9" * 20],
        ["logs", "j", "-n", "1.5"],
        ["diff", "-U", "-1"],
        ["forward", "--stop", "a"],
    ],
)
def test_a_number_that_cannot_be_is_told_in_words(words, capsys):
    assert main(words) == 2
    assert f"to 1000000000, got {words[-1]!r}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["top", "--interval", "nan"], ["stop", "j", "--grace", "soon"]])
def test_a_time_that_cannot_be_is_told_in_words(words, capsys):
    assert main(words) == 2
    assert f"expected a number of seconds, got {words[-1]!r}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-C", "no\x1b[2J"], ["no\x1b[2J"], ["up", "--no\x1b[2J"]])
def test_a_wrong_word_cannot_drive_the_terminal(words, capsys):
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "no\\x1b[2J" in told


def test_another_folder_can_be_named_first(tmp_path, capsys):
    assert main(["-C", str(tmp_path / "none"), "config"]) == 2
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_help_and_version_load_nothing_heavy(words):
    code = f"import sys; from afield.cli.main import main; main({words!r}); print(sorted(m for m in sys.modules if m in HEAVY))"
    code = "HEAVY = {'asyncio', 'argparse', 'rich', 'json', 'tomllib', 'subprocess', 'argcomplete', 'difflib'}\n" + code
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete --command afield")]
)
def test_completion_scripts_are_for_their_shell(shell, sign, capsys):
    assert main(["completion", shell]) == 0
    assert sign in capsys.readouterr().out


def test_a_closed_pipe_is_no_traceback():
    code = "import sys; from afield.cli.main import main; sys.exit(main(['--help']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 141
