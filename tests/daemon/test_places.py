"""Places reached through a stand-in for ssh: questions, outages, and the dial before the daemon is up."""

import os
import signal
import threading
import time

import pytest

from afield.control.client import Events
from afield.errors import AfieldError, Cancelled

STAND_IN = """\
#!/bin/sh
# Takes ssh's place: runs the command line (its last argument) here.
echo "$$" >> {folder}/dials
if [ -e {folder}/down ]; then echo "ssh: connect to host far port 22: Connection refused" >&2; exit 255; fi
while [ -e {folder}/slow ]; do sleep 0.05; done
if [ -e {folder}/locked ]; then
  answer=$("$SSH_ASKPASS" "me@far's password: ") || exit 255
  if [ "$answer" != sesame ]; then echo "me@far: Permission denied (password)." >&2; exit 255; fi
fi
for last; do :; done
AFIELD_HOME={folder}/place exec sh -c "$last"
"""


class Answer(Events):
    def __init__(self, text):
        self.text = text
        self.asked = []

    def prompt(self, prompt):
        self.asked.append(prompt)
        return self.text


@pytest.fixture
def far(sandbox, monkeypatch):
    """A sandbox whose project lies behind the stand-in; files ``down`` and ``locked`` in its folder say what it does."""
    script = os.path.join(sandbox.folder, "ssh-stand-in")
    with open(script, "w", encoding="utf-8") as file:
        file.write(STAND_IN.format(folder=sandbox.folder))
    os.chmod(script, 0o755)
    monkeypatch.setenv("AFIELD_SSH", script)
    sandbox.here = sandbox.project(place="ssh://me@far")
    sandbox.args = {"project": sandbox.here}
    sandbox.touch = lambda name: open(os.path.join(sandbox.folder, name), "w", encoding="utf-8").close()
    sandbox.remove = lambda name: os.unlink(os.path.join(sandbox.folder, name))
    return sandbox


def dials(sandbox):
    with open(os.path.join(sandbox.folder, "dials"), encoding="utf-8") as file:
        return [int(line) for line in file]


def place_of(client):
    (place,) = client.request("status")["places"].values()
    return place


def test_a_hinted_dial_is_the_only_one(far):
    with far.connect(dial=(far.here, None)) as client:
        client.request("connect", far.args, timeout=60)
        assert len(dials(far)) == 1
        assert place_of(client)["state"] == "connected"


def test_a_hinted_dial_that_cannot_work_is_explained_as_any_other(far):
    far.touch("down")
    with far.connect(dial=(far.here, None)) as client:
        with pytest.raises(AfieldError) as caught:
            client.request("connect", far.args, timeout=60)
        assert caught.value.code in ("unreachable", "link")
        assert client.request("hello")


def test_a_question_reaches_the_face_that_waits(far):
    far.touch("locked")
    face = Answer("sesame")
    with far.connect(dial=(far.here, None)) as client:
        client.request("connect", far.args, events=face, timeout=60)
        assert place_of(client)["state"] == "connected"
    assert [(asked["text"].strip(), asked["secret"]) for asked in face.asked] == [("me@far's password:", True)]
    assert "sesame" not in far.log()


def test_a_wrong_answer_is_a_refused_login_and_the_next_one_may_be_right(far):
    far.touch("locked")
    with far.connect() as client:
        with pytest.raises(AfieldError) as caught:
            client.request("connect", far.args, events=Answer("wrong"), timeout=60)
        assert caught.value.code == "permission-denied"
        client.request("connect", far.args, events=Answer("sesame"), timeout=60)


def test_a_refused_question_ends_the_dial(far):
    far.touch("locked")
    with far.connect() as client, pytest.raises(Cancelled):
        client.request("connect", far.args, events=Answer(None), timeout=60)


def test_a_face_that_leaves_while_it_is_asked_leaves_no_dial_hanging(far, wait, is_alive):
    far.touch("locked")
    asked = threading.Event()

    class Leave(Events):
        def prompt(self, prompt):
            asked.set()
            raise ConnectionAbortedError

    with far.connect() as client, pytest.raises(ConnectionAbortedError):
        client.request("connect", far.args, events=Leave(), timeout=60)
    assert asked.is_set()
    with far.connect() as client:
        wait(lambda: place_of(client)["state"] != "dialing", "the dial to be given up")
        assert not any(is_alive(pid) for pid in dials(far))
        client.request("connect", far.args, events=Answer("sesame"), timeout=60)


def test_a_daemon_that_nobody_can_answer_says_that_it_needs_a_login(far, wait):
    with far.connect() as client:
        client.request("up", far.args, timeout=60)
    far.touch("locked")
    far.kill_daemon()
    with far.connect() as client:
        wait(lambda: place_of(client)["state"] == "needs-login", "the state")
        assert "password" in place_of(client)["why"]
        client.request("up", far.args, events=Answer("sesame"), timeout=60)
        (project,) = client.request("status")["projects"].values()
        assert project["up"]


def test_an_outage_is_shown_with_its_reason_and_the_next_try_and_ends_by_itself(far, wait):
    with far.connect() as client:
        client.request("up", far.args, timeout=60)
        far.touch("down")
        os.kill(place_of(client)["pid"], signal.SIGKILL)
        shown = wait(
            lambda: (found := place_of(client))["state"] == "waiting" and "port 22" in (found["why"] or "") and found,
            "the outage",
        )
        assert shown["hint"]
        assert abs(shown["next_try"] - time.time()) < 60
        (project,) = client.request("status")["projects"].values()
        assert project["sync"]["state"] in ("paused", "waiting")
        far.remove("down")
        wait(lambda: place_of(client)["state"] == "connected", "the link")
        wait(lambda: next(iter(client.request("status")["projects"].values()))["sync"]["state"] == "live", "the sync")


def test_two_projects_at_one_place_share_the_link(far):
    other = far.project("other", place="ssh://me@far")
    with far.connect() as client:
        client.request("connect", far.args, timeout=60)
        client.request("connect", {"project": other}, timeout=60)
        assert len(dials(far)) == 1
        client.request("up", {"project": other}, timeout=60)
        assert client.request("disconnect", far.args) == {"closed": False}
        client.request("down", {"project": other})
        assert client.request("status")["places"] == {} or place_of(client)["state"] == "idle"


def test_who_waits_for_a_slow_dial_is_told_what_for(far):
    notes = []

    class Patient(Events):
        def event(self, event):
            if "note" in event and not notes:
                notes.append(event["note"])
                far.remove("slow")

    far.touch("slow")
    with far.connect() as client:
        client.request("connect", far.args, events=Patient(), timeout=60)
    assert notes == ["dialing ssh://me@far …"]
