"""Projects through the daemon over local://: up, live sync around runs, what a killed daemon leaves, clean."""

import glob
import os
import shutil
import signal

import pytest

from afield.errors import AfieldError, GuardRefused, NeedsConfirmation, NotUp, RootReplaced


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def up(sandbox):
    """A sandbox with a project that is up; its two folders are ``here`` and ``there``."""
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    write(sandbox.here, "a.py", "print('hello')\n")
    write(sandbox.here, "pkg/b.py", "x = 1\n")
    sandbox.args = {"project": sandbox.here}
    with sandbox.connect() as client:
        sandbox.told = client.request("up", sandbox.args, timeout=60)
    return sandbox


def run(sandbox, argv, **more):
    with sandbox.raw() as client:
        client.request(sandbox.here, argv, **more)
        client.send(b"I")
        status = client.finish()
        return status, client.out, client.err


def test_up_carries_the_files_and_says_so(up):
    assert read(up.there, "a.py") == "print('hello')\n"
    assert up.told["sync"]["there"] >= 3
    with up.connect() as client:
        (project,) = client.request("status", up.args)["projects"].values()
        assert project["up"]
        assert project["sync"]["state"] in ("live", "busy")
        again = client.request("up", up.args)["sync"]
        assert (again["already"], again["here"], again["there"], again["conflicts"]) == (True, 0, 0, 0)


def test_up_again_does_not_say_that_all_is_well_when_a_guard_holds_the_sync(up):
    for number in range(40):
        write(up.here, f"many/{number}", str(number))
    with up.connect() as client:
        client.request("sync", up.args)
        shutil.rmtree(os.path.join(up.here, "many"))
        with pytest.raises(GuardRefused):
            client.request("sync", up.args)
        with pytest.raises(GuardRefused) as caught:
            client.request("up", up.args)
        assert "afield sync --yes" in caught.value.hint
        client.request("sync", {**up.args, "removals": True})
        assert client.request("up", up.args)["sync"]["already"]


def test_a_run_sees_the_last_edit_and_its_results_are_here_when_it_ends(up):
    for number in range(5):
        write(up.here, "a.py", f"open('out.txt', 'w').write('{number}')\n")
        assert run(up, ["a.py"], mode="python") == (0, b"", b"")
        assert read(up.here, "out.txt") == str(number)


def test_two_ups_at_once_are_one(sandbox):
    import threading

    here = sandbox.project()
    write(here, "a.py", "1\n")
    told = []

    def one():
        with sandbox.connect() as client:
            told.append(client.request("up", {"project": here}, timeout=60))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 3


def test_a_large_first_upload_asks_first(sandbox):
    here = sandbox.project(extra="sync.ask-above = 10\nsync.ask-above-files = 1\n")
    write(here, "big/data.bin", "x" * 1000)
    with sandbox.connect() as client:
        with pytest.raises(NeedsConfirmation, match="big/"):
            client.request("up", {"project": here}, timeout=60)
        (project,) = client.request("status")["projects"].values()
        assert not project["up"]
        assert project["problems"]
        client.request("up", {"project": here, "confirm": 1 << 40}, timeout=60)
    assert read(os.path.join(sandbox.place, "work", "proj"), "big/data.bin") == "x" * 1000


@pytest.mark.parametrize("limit", ["sync.ask-above = 999", "sync.ask-above-files = 2"])
def test_what_was_agreed_on_and_is_lost_makes_a_large_upload_a_first_one_again(sandbox, limit):
    here = sandbox.project(extra=f"{limit}\n")
    with sandbox.connect() as client:
        client.request("up", {"project": here}, timeout=60)
        client.request("down", {"project": here})
        (store,) = glob.glob(os.path.join(sandbox.state, "sync", "*.sqlite"))
        os.truncate(store, 0)
        for name in "abc":
            write(here, f"big/{name}", "x" * 400)
        with pytest.raises(NeedsConfirmation, match=r"3 files, 1\.2 kB"):
            client.request("up", {"project": here}, timeout=60)
        client.request("up", {"project": here, "confirm": 2000}, timeout=60)
    assert len(os.listdir(os.path.join(sandbox.place, "work", "proj", "big"))) == 3


def test_a_project_whose_folder_was_renamed_comes_up_in_its_new_place(up):
    moved = up.here + "-renamed"
    os.rename(up.here, moved)
    with up.connect() as client:
        done = client.request("up", {"project": moved}, timeout=60)["sync"]
        assert (done["conflicts"], done["here"]) == (0, 0)
        states = {each["project"]: each["up"] for each in client.request("status")["projects"].values()}
        assert states[moved]
        assert not states.get(up.here)
        write(moved, "a.py", "print('moved')\n")
        client.request("sync", {"project": moved}, timeout=60)
        assert read(up.there, "a.py") == "print('moved')\n"


def test_down_stops_it_and_runs_are_not_ready(up):
    with up.connect() as client:
        stopped = client.request("down", up.args)["stopped"]
        assert "sync" in stopped
        assert "link" in stopped
        with pytest.raises(NotUp):
            client.request("conflicts", up.args)
        assert client.request("hello")["keeps"] == []
    with up.raw() as client:
        client.request(up.here, ["true"])
        assert client.until(b"U") == (b"U", b"")


def settings(up, text):
    path = os.path.join(up.here, "afield.toml")
    with open(path, encoding="utf-8") as file:
        before = file.read()
    write(up.here, "afield.toml", before + text)
    return before


def told_of(up, client):
    (project,) = client.request("status", up.args)["projects"].values()
    return project


def test_settings_of_the_sync_that_change_while_it_is_up_hold_after_down_and_up(up):
    with up.connect() as client:
        settings(up, '\n[sync]\nmode = "push"\n')
        assert "afield down" in told_of(up, client)["problems"][0]
        client.request("down", up.args)
        client.request("up", up.args, timeout=60)
        project = told_of(up, client)
        assert (project["sync"]["mode"], project["problems"]) == ("push", [])


@pytest.mark.parametrize("mode", ["two-way-safe", "two-way-there-wins", "pull"])
def test_a_place_does_not_write_the_settings_that_say_which_commands_run_here(up, mode):
    with up.connect() as client:
        settings(up, f'\n[sync]\nmode = "{mode}"\npull = ["*.toml"]\n')
        client.request("down", up.args)
        client.request("up", up.args, timeout=60)
        mine = read(up.here, "afield.toml")
        write(up.there, "afield.toml", mine + "# ssh = …\n")
        write(up.there, "other.toml", "x = 1\n")
        client.request("sync", up.args)
        assert read(up.here, "other.toml") == "x = 1\n"
        assert read(up.here, "afield.toml") == read(up.there, "afield.toml") == mine
        assert client.request("conflicts", up.args) == []
        settings(up, "# edited\n")
        client.request("sync", up.args)
        assert read(up.here, "afield.toml") == read(up.there, "afield.toml") == mine + "# edited\n"
        assert client.request("why", {**up.args, "path": "afield.toml"})["mode"] == "push"


def test_settings_that_are_changed_back_while_it_is_up_are_no_problem_any_more(up):
    with up.connect() as client:
        before = settings(up, '\n[sync]\nmode = "push"\n')
        client.request("sync", up.args)
        assert told_of(up, client)["problems"]
        write(up.here, "afield.toml", "half = [")
        assert told_of(up, client)["problems"]
        write(up.here, "afield.toml", before)
        assert told_of(up, client)["problems"] == []


def test_a_killed_daemons_successor_takes_the_project_up_again(up, wait):
    first = up.kill_daemon()
    write(up.here, "a.py", "print('while nobody looked')\n")
    with up.connect() as client:
        assert client.hello["pid"] != first

        def live():
            (project,) = client.request("status", up.args)["projects"].values() or [{}]
            return project.get("up")

        wait(live, "the project to be up again")
        wait(lambda: "nobody" in read(up.there, "a.py"), "the edit to arrive")
    assert run(up, ["a.py"], mode="python")[1] == b"while nobody looked\n"


def test_a_project_that_is_down_stays_down_after_a_kill(up):
    with up.connect() as client:
        client.request("down", up.args)
    up.kill_daemon()
    with up.connect() as client:
        assert client.request("status")["projects"] == {}


def test_a_broken_memory_is_an_empty_one(up):
    up.kill_daemon()
    write(up.state, "up.json", "{broken")
    with up.connect() as client:
        assert client.request("status")["projects"] == {}


def test_a_place_that_cannot_be_reached_says_why(sandbox):
    here = sandbox.project(place="ssh://nobody@127.0.0.1:1")
    with sandbox.connect() as client:
        with pytest.raises(AfieldError) as caught:
            client.request("up", {"project": here}, timeout=60)
        assert caught.value.hint
        (place,) = client.request("status")["places"].values()
        assert place["state"] == "failed"
        assert place["why"]


def test_a_lost_link_is_waited_for_and_shown(up, wait, is_alive):
    with up.connect() as client:
        (place,) = client.request("status")["places"].values()
        agent = place["agent"]["pid"]
        os.kill(agent, signal.SIGKILL)
        wait(lambda: not is_alive(agent), "the agent to die")

        def back():
            (place,) = client.request("status")["places"].values()
            return place["state"] == "connected" and place["agent"]["pid"] != agent

        wait(back, "the link to come back")
    write(up.here, "a.py", "print('after')\n")
    assert run(up, ["a.py"], mode="python")[:2] == (0, b"after\n")


def test_settings_that_changed_are_used_or_said(up):
    text = read(up.here, "afield.toml")
    write(up.here, "afield.toml", text + '[machines.m.run]\nenv = { COLOUR = "blue" }\n')
    assert run(up, ["sh", "-c", "echo $COLOUR"])[1] == b"blue\n"
    write(up.here, "afield.toml", text + '[machines.m.sync]\nmode = "push"\n')
    assert run(up, ["sh", "-c", "echo $COLOUR"])[0] == 0
    with up.connect() as client:
        (project,) = client.request("status", up.args)["projects"].values()
    assert "mode changed" in project["problems"][0]


def test_sync_says_what_it_would_do_and_what_it_did(up):
    with up.connect() as client:
        assert client.request("sync", {**up.args, "dry_run": True})["plan"] == []
        client.request("down", up.args)
        write(up.here, "new.py", "1\n")
        plan = client.request("sync", {**up.args, "dry_run": True})["plan"]
        assert [(step["side"], step["path"]) for step in plan] == [("there", "new.py")]
        assert not os.path.exists(os.path.join(up.there, "new.py"))
        client.request("up", up.args)
        assert read(up.there, "new.py") == "1\n"


def test_conflicts_are_listed_and_settled(up, wait):
    with up.connect() as client:
        client.request("down", up.args)
        write(up.here, "a.py", "here\n")
        write(up.there, "a.py", "there\n")
        client.request("up", up.args)
        found = client.request("conflicts", up.args)
        assert [item["path"] for item in found] == ["a.py"]
        assert client.request("settle", {**up.args, "paths": ["a.py"], "keep": "there"})["settled"] == ["a.py"]
        assert read(up.here, "a.py") == "there\n"
        assert client.request("conflicts", up.args) == []


def test_what_was_replaced_can_be_brought_back(up, wait):
    with up.connect() as client:
        write(up.here, "a.py", "second\n")
        client.request("sync", up.args)
        found = [event for event in client.request("history", up.args) if event["side"] == "there"]
        assert found[0]["path"] == "a.py"
        restored = client.request("undo", {**up.args, "path": "a.py", "side": "there"})["restored"]
        assert restored[0]["path"] == "a.py"
        wait(lambda: read(up.there, "a.py") == "print('hello')\n", "the old version there")
        wait(lambda: read(up.here, "a.py") == "print('hello')\n", "the old version here")


def test_clean_refuses_what_is_only_there_and_then_removes_all(up, wait, is_alive):
    with up.connect() as client:
        client.request("sync", up.args)
        only = write(up.there, ".afield-not-synced/x", "") and write(up.there, "__pycache__/only.pyc", "x")
        plan = client.request("clean", {**up.args, "files": True, "dry_run": True})["would_remove"]
        assert any("work/proj" in line for line in plan)
        with pytest.raises(GuardRefused, match=r"only\.pyc"):
            client.request("clean", {**up.args, "files": True})
        assert os.path.exists(only)
        (place,) = client.request("status")["places"].values()
        done = client.request("clean", {**up.args, "files": True, "force": True}, timeout=60)
        assert "agent" in done["removed"]
        assert not os.path.exists(up.there)
        wait(lambda: not is_alive(place["agent"]["pid"]), "the agent to leave")
    left = [os.path.join(folder, name) for folder, _, names in os.walk(up.place) for name in names]
    assert left == []
    assert read(up.here, "a.py") == "print('hello')\n"


def test_clean_never_removes_the_folder_of_another_project(up):
    """Two projects of one name have one folder there; the second one may not come up, and may not clean it either."""
    other = up.project("other")
    write(other, "afield.toml", read(up.here, "afield.toml"))
    write(other, "a.py", "print('hello')\n")
    with up.connect() as client:
        for force in (False, True):
            with pytest.raises(GuardRefused, match="belongs to another project"):
                client.request("clean", {"project": other, "files": True, "force": force}, timeout=60)
        plan = client.request("clean", {"project": other, "files": True, "dry_run": True})["would_remove"]
        assert "another project" in plan[-1]
    assert read(up.there, "a.py") == "print('hello')\n"


def test_clean_works_while_a_guard_holds_the_sync(up):
    with up.connect() as client:
        client.request("sync", up.args)
        shutil.rmtree(up.there)
        with pytest.raises(RootReplaced):
            client.request("sync", up.args)
        assert "sync" in client.request("clean", {**up.args, "files": True}, timeout=60)["removed"]


def test_a_face_that_leaves_during_the_first_sync_stops_it(sandbox, wait):
    here = sandbox.project()
    for number in range(40):
        write(here, f"big/{number}", "x" * 2_000_000)
    other = sandbox.connect()
    other._send("up", {"project": here})
    with sandbox.connect() as client:

        def starting():
            return any(project["starting"] for project in client.request("status")["projects"].values())

        wait(starting, "the first sync to begin")
        other.close()
        wait(lambda: not starting(), "it to stop")
        (project,) = client.request("status")["projects"].values()
        if not project["up"]:
            assert client.request("hello")["keeps"] == []
        client.request("up", {"project": here}, timeout=60)
    assert len(os.listdir(os.path.join(sandbox.place, "work", "proj", "big"))) == 40


def test_a_second_project_on_a_place_that_is_cleaned_goes_on(up):
    other = up.project("other")
    write(other, "b.py", "print(2)\n")
    with up.connect() as client:
        client.request("up", {"project": other}, timeout=60)
        done = client.request("clean", {**up.args, "files": True, "force": True}, timeout=60)
        assert "agent" not in done["removed"]
        assert not os.path.exists(up.there)
    with up.raw() as client:
        client.request(other, ["b.py"], mode="python")
        client.send(b"I")
        assert client.finish() == 0
        assert client.out == b"2\n"


def test_a_machine_that_no_file_names_any_more_is_forgotten_unless_it_is_up(sandbox):
    folder = sandbox.project()
    with sandbox.connect() as client:
        client.request("up", {"project": folder}, timeout=60)
        os.unlink(os.path.join(folder, "afield.toml"))
        assert len(client.request("status")["projects"]) == 1
        sandbox.project()
        client.request("down", {"project": folder}, timeout=60)
        assert len(client.request("status")["projects"]) == 1
        os.unlink(os.path.join(folder, "afield.toml"))
        state = client.request("status")
        assert (state["projects"], state["places"]) == ({}, {})
