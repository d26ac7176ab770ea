"""Logins that ask: passwords and one-time codes reach the user's terminal, although the daemon dials."""

import subprocess

import pytest
from lab import OTP_SECRET, PASSWORD
from world import wait_for


def code():
    done = subprocess.run(["oathtool", "--totp", OTP_SECRET.hex()], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_host_behind_another_and_a_user_without_root(world):
    (world.project / "who.py").write_text("import getpass, platform\nprint(getpass.getuser(), platform.node())\n")
    world.init("b")
    world.afield("up", "--yes")
    assert world.afield("python", "who.py").stdout == "dev b\n"
    assert world.afield("run", "sh", "-c", "sudo -n true 2>/dev/null || echo no sudo").stdout == "no sudo\n"


def test_a_password_is_asked_on_the_terminal_of_the_command_that_needs_the_link(world, lab):
    lab.c.authentication("password")
    with world.at_terminal("init", "ssh://c", "--name", "c", *world.ssh_words) as person:
        person.wait_for("dev@198.51.100.13's password: ").type(PASSWORD + "\n")
        person.wait_for("wrote afield.toml")
        assert person.finish() == 0
        assert PASSWORD not in person.seen
    # One login carries everything from now on.
    assert "is up on c" in world.afield("up", "--yes").stdout
    assert world.afield("run", "hostname").stdout == "c\n"
    world.kill_link()
    wait_for(lambda: world.place().get("state") == "needs-login", what="the wish for a login")
    assert "password" in world.place()["why"]
    assert "afield up" in world.place()["hint"]
    with world.at_terminal("run", "hostname") as person:
        person.wait_for("password: ").type(PASSWORD + "\n").wait_for("c\r\n")
        assert person.finish() == 0
    log = (world.root / "state" / "log" / "daemon.log").read_text()
    assert PASSWORD not in log


def test_a_wrong_password_is_asked_again_and_then_refused(world, lab):
    lab.c.authentication("password")
    with world.at_terminal("init", "ssh://c", "--name", "c", *world.ssh_words) as person:
        for _ in range(3):
            person.wait_for("password: ").type("wrong\n")
        person.wait_for("hint: ")
        assert person.finish() == 255
    assert "refused the login" in person.seen
    assert "afield keys setup c" in person.seen
    assert not (world.project / "afield.toml").exists()


def test_without_a_terminal_the_command_says_what_is_missing(world, lab):
    lab.c.authentication("password")
    done = world.afield("init", "ssh://c", "--name", "c", *world.ssh_words, check=False)
    assert done.returncode == 255
    assert "password" in done.stderr
    assert "hint: run this in a terminal once, or set up a key login: afield keys setup" in done.stderr
    world.afield("init", "ssh://c", "--name", "c", *world.ssh_words, "--no-check")
    done = world.afield("run", "--no-sync", "true", check=False)
    assert done.returncode == 255
    assert "password" in done.stderr


def test_ctrl_c_at_the_prompt_ends_the_command_and_the_login(world, lab):
    lab.c.authentication("password")
    with world.at_terminal("init", "ssh://c", "--name", "c", *world.ssh_words) as person:
        person.wait_for("password: ").type("\x03")
        assert person.finish() in (130, -2)
    wait_for(lambda: not world.ssh_pids(), what="the end of the login")


@pytest.mark.parametrize("way", ["2fa", "key+otp"])
def test_a_one_time_code_is_asked_for_too(world, lab, way):
    lab.c.authentication(way)
    with world.at_terminal("init", "ssh://c", "--name", "c", *world.ssh_words) as person:
        if way == "2fa":
            person.wait_for("Password: ").type(PASSWORD + "\n")
        person.wait_for("One-time password").type(code() + "\n")
        person.wait_for("wrote afield.toml")
        assert person.finish() == 0
    assert world.afield("run", "--no-sync", "hostname").stdout == "c\n"


def test_a_host_without_any_python_says_what_to_install(world, lab):
    lab.c.run("sh", "-c", "mkdir /away && mv /usr/bin/python3* /away/")
    try:
        done = world.afield("init", "ssh://c", "--name", "c", *world.ssh_words, check=False)
    finally:
        lab.c.run("sh", "-c", "mv /away/* /usr/bin/ && rmdir /away")
    assert done.returncode == 255
    assert "there is no Python to be found at ssh://c" in done.stderr
    assert "hint: install Python 3.6 or newer there" in done.stderr
    assert not (world.project / "afield.toml").exists()
    world.init("c")


def test_a_host_that_runs_nothing_from_tmp_is_no_problem(world, lab, tmp_path):
    (tmp_path / "outside.py").write_text("import sys; print('hello', sys.argv[1])\n")
    lab.a.run("mount", "-t", "tmpfs", "-o", "noexec,mode=1777", "none", "/tmp")
    try:
        world.init("a")
        world.afield("up", "--yes")
        assert world.afield("python", tmp_path / "outside.py", "there").stdout == "hello there\n"
        world.afield("run", "-d", "--name", "j", "sh", "-c", "exit 3")
        assert world.afield("wait", "j", check=False).returncode == 3
        world.afield("clean", "--yes")
    finally:
        lab.a.run("umount", "-l", "/tmp")


def test_a_cold_run_asks_once_on_its_own_terminal(world, lab):
    lab.c.authentication("password")
    with world.at_terminal("init", "ssh://c", "--name", "c", *world.ssh_words) as person:
        person.wait_for("password: ").type(PASSWORD + "\n").wait_for("wrote afield.toml")
        assert person.finish() == 0
    wait_for((world.root / "state" / "last-dial").exists, what="the memory of the dial")
    world.afield("daemon", "stop", "--force")
    with world.at_terminal("run", "--no-sync", "hostname") as person:
        person.wait_for("password: ").type(PASSWORD + "\n").wait_for("c\r\n")
        assert person.finish() == 0
        assert person.seen.count("password: ") == 1
