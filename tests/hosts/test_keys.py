"""`afield keys setup` from nothing to a proven login, on a real host."""

import json
import stat
import subprocess

import pytest
from lab import PASSWORD


@pytest.fixture
def stranger(world, lab):
    """A user without a key of the host, who knows a password; gives the world."""
    lab.c.authentication("password or key")
    lab.c.run("rm", "-rf", "/home/dev/.ssh")
    lines = [line for line in world.config.read_text().splitlines() if "Identity" not in line]
    own = world.home / ".ssh" / "id_ed25519"
    world.config.write_text("\n".join([lines[0], f"  IdentityFile {own}", *lines[1:]]) + "\n")
    yield world
    public = lab.key.with_suffix(".pub").read_text()
    lab.c.run("chmod", "755", "/home/dev")
    lab.c.run("install", "-d", "-m", "700", "-o", "dev", "-g", "dev", "/home/dev/.ssh")
    lab.c.path("/home/dev/.ssh/authorized_keys").write_text(public)
    lab.c.run("chown", "dev:dev", "/home/dev/.ssh/authorized_keys")


def setup(world, *more):
    return world.at_terminal("keys", "setup", "c", "--no-passphrase", *world.ssh_words, *more)


def modes(lab, path):
    return lab.c.run("stat", "-c", "%a %U", path).stdout.strip()


def test_from_nothing_to_a_proven_login_with_the_password_asked_once(stranger, lab):
    lab.c.run("chmod", "777", "/home/dev")  # sshd refuses keys of such a home
    with setup(stranger) as person:
        person.wait_for("making the key").wait_for("password: ").type(PASSWORD + "\n")
        person.wait_for("logged in with the key alone").wait_for("next: afield init c")
        assert person.finish() == 0
    assert person.seen.count("password: ") == 1
    own = stranger.home / ".ssh" / "id_ed25519"
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert modes(lab, "/home/dev/.ssh/authorized_keys") == "600 dev"
    assert modes(lab, "/home/dev") == "755 dev"
    assert lab.c.path("/home/dev/.ssh/authorized_keys").read_text() == own.with_suffix(".pub").read_text()
    # And again: nothing to do, nothing asked, nothing doubled; the link works with it.
    done = stranger.afield("keys", "setup", "c", "--json", *stranger.ssh_words)
    assert "accepted already" in done.stderr
    told = json.loads(done.stdout)
    assert (told["made"], told["installed"], told["offered"], told["key"]) == (False, False, True, str(own))
    assert len(lab.c.path("/home/dev/.ssh/authorized_keys").read_text().splitlines()) == 1
    stranger.init("c")


def test_a_key_that_is_there_is_kept_and_its_permissions_are_tightened(stranger, lab):
    own = stranger.home / ".ssh" / "id_ed25519"
    own.parent.mkdir(mode=0o755)
    own.write_bytes(lab.key.read_bytes())
    own.chmod(0o644)
    with setup(stranger) as person:
        person.wait_for("using the key").wait_for("tightened").wait_for("password: ").type(PASSWORD + "\n")
        assert person.finish() == 0
    assert own.read_bytes() == lab.key.read_bytes()
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert own.with_suffix(".pub").read_text().split()[:2] == lab.key.with_suffix(".pub").read_text().split()[:2]


def test_other_keys_that_are_installed_there_stay_also_without_a_last_newline(stranger, lab):
    lab.c.run("install", "-d", "-m", "700", "-o", "dev", "-g", "dev", "/home/dev/.ssh")
    lab.c.path("/home/dev/.ssh/authorized_keys").write_text("ssh-ed25519 AAAAother somebody")
    lab.c.run("chown", "dev:dev", "/home/dev/.ssh/authorized_keys")
    with setup(stranger) as person:
        person.wait_for("password: ").type(PASSWORD + "\n")
        assert person.finish() == 0
    first, second = lab.c.path("/home/dev/.ssh/authorized_keys").read_text().splitlines()
    assert first == "ssh-ed25519 AAAAother somebody"
    assert second.startswith("ssh-ed25519 ")


def test_a_wrong_password_is_refused_with_a_hint(stranger):
    with setup(stranger) as person:
        for _ in range(3):
            person.wait_for("password: ").type("wrong\n")
        person.wait_for("refused the login").wait_for("hint: the password was wrong")
        assert person.finish() == 255


def test_a_host_that_takes_no_password_says_so(stranger, lab):
    lab.c.authentication("only key")
    with setup(stranger) as person:
        person.wait_for("refused the login").wait_for("hint: ")
        assert person.finish() == 255
    assert "password: " not in person.seen


def test_a_host_that_is_not_there(stranger):
    done = stranger.afield(
        "keys", "setup", "dev@198.51.100.99", "--no-passphrase", "--ssh", "-o ConnectTimeout=1", check=False
    )
    assert done.returncode == 255
    assert "hint: " in done.stderr
    assert not list(stranger.home.glob(".ssh/id_*"))
    assert stranger.afield("keys", "setup", "a b", check=False).returncode == 2


def test_a_host_whose_key_is_unknown_is_named(stranger):
    text = stranger.config.read_text().replace(str(stranger.lab.known_hosts), "/dev/null")
    stranger.config.write_text(text)
    done = stranger.afield("keys", "setup", "c", "--no-passphrase", *stranger.ssh_words, check=False)
    assert done.returncode == 255
    assert "the host key of c is not known here, and nobody can be asked about it" in done.stderr
    assert "hint: run this in a terminal, or look at the key and accept it once: ssh c" in done.stderr


def test_a_host_whose_key_changed_is_told_with_the_command(stranger):
    known = stranger.root / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger.root / "other")], check=True)
    known.write_text(f"198.51.100.13 {(stranger.root / 'other.pub').read_text()}")
    text = stranger.config.read_text().replace(str(stranger.lab.known_hosts), str(known))
    stranger.config.write_text(text)
    done = stranger.afield("keys", "setup", "c", "--no-passphrase", *stranger.ssh_words, check=False)
    assert done.returncode == 255
    assert "c shows another host key" in done.stderr
    assert f'ssh-keygen -f "{known}" -R "198.51.100.13"' in done.stderr


def test_a_home_that_cannot_hold_the_key_is_told_and_nothing_is_claimed(stranger, lab):
    lab.c.path("/home/dev/.ssh").write_text("a file where the folder belongs")
    with setup(stranger) as person:
        person.wait_for("password: ").type(PASSWORD + "\n")
        person.wait_for("the key could not be written at c").wait_for("hint: ")
        assert person.finish() == 255
    assert "logged in" not in person.seen
    lab.c.run("rm", "/home/dev/.ssh")


def test_a_key_that_ssh_would_not_offer_is_told(stranger):
    other = stranger.home / ".ssh" / "other"
    with setup(stranger, "--key", str(other)) as person:
        person.wait_for(f"making the key {other}").wait_for("password: ").type(PASSWORD + "\n")
        person.wait_for(f"IdentityFile {other}")
        assert person.finish() == 0
