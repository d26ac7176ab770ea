"""Questions of ssh reach whoever can answer, and nobody else can answer or listen."""

import asyncio
import os
import stat
import subprocess
import tempfile

import pytest

from afield.errors import Cancelled
from afield.link.askpass import Askpass, is_secret


def ask_like_ssh(askpass, prompt, *, kind="", token=None):
    env = {**os.environ, **askpass.env(), "SSH_ASKPASS_PROMPT": kind}
    if token is not None:
        env["AFIELD_ASKPASS_TOKEN"] = token
    return subprocess.run(
        [env["SSH_ASKPASS"], prompt], env=env, capture_output=True, timeout=20, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def folder():
    """A folder with a short path: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ask-") as path:
        yield path


def run(ask, *questions, folder):
    """Put the questions one after the other while serving; gives the results and whether the folder is gone afterwards."""

    async def main():
        askpass = Askpass(folder)
        await askpass.serve(ask)
        try:
            results = [await asyncio.to_thread(ask_like_ssh, askpass, *args, **options) for args, options in questions]
            return results, askpass
        finally:
            await askpass.close()

    return asyncio.run(main())


def test_an_answer_reaches_ssh_and_leaves_no_file(folder):
    seen = []

    async def ask(prompt, secret):
        seen.append((prompt, secret))
        return "hünter 2"

    (result,), _ = run(ask, (("dev@gpu1's password: ",), {}), folder=folder)
    assert (result.returncode, result.stdout.decode()) == (0, "hünter 2\n")
    assert seen == [("dev@gpu1's password: ", True)]
    assert os.listdir(folder) == []


def test_a_question_that_is_given_up_fails_for_ssh_and_is_remembered(folder):
    async def ask(_prompt, _secret):
        raise Cancelled("no")

    (result,), askpass = run(ask, (("Password: ",), {}), folder=folder)
    assert (result.returncode, result.stdout) == (1, b"")
    assert askpass.refused


def test_without_the_token_nobody_is_asked(folder):
    asked = []

    async def ask(prompt, _secret):
        asked.append(prompt)
        return "secret"

    (result,), _ = run(ask, (("Password: ",), {"token": "0" * 32}), folder=folder)
    assert (result.returncode, result.stdout, asked) == (1, b"", [])


@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("no", 1)])
def test_a_confirmation_is_an_exit_status(folder, answer, code):
    async def ask(_prompt, secret):
        assert not secret
        return answer

    (result,), _ = run(ask, (("Allow use of key?",), {"kind": "confirm"}), folder=folder)
    assert result.returncode == code


def test_the_socket_and_its_folder_are_for_the_user_alone(folder):
    async def main():
        askpass = Askpass(folder)
        modes = [
            stat.S_IMODE(os.stat(path).st_mode)
            for path in (askpass.folder, askpass.env()["AFIELD_ASKPASS_SOCKET"], askpass.helper)
        ]
        await askpass.close()
        return modes

    assert asyncio.run(main()) == [0o700, 0o600, 0o700]


@pytest.mark.parametrize(
    ("prompt", "secret"),
    [
        ("dev@198.51.100.13's password: ", True),
        ("(dev@198.51.100.13) One-time password (OATH) for `dev': ", True),
        ("Enter passphrase for key '/home/me/.ssh/id': ", True),
        ("Are you sure you want to continue connecting (yes/no/[fingerprint])? ", False),
        ("Please type 'yes', 'no' or the fingerprint: ", False),
        ("", True),
    ],
)
def test_only_questions_about_host_keys_are_shown_while_typed(prompt, secret):
    assert is_secret(prompt) is secret
