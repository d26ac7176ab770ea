"""The parts of `afield keys setup` that need no host: what is taken as a host, which key is used, what is told."""

import stat
import subprocess

import pytest

from afield.cli.keysetup import KeySetup, forget_command, split_host
from afield.errors import ConfigError, LinkError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu1", ("gpu1", None)),
        ("me@gpu1", ("me@gpu1", None)),
        ("me@gpu1:2222", ("me@gpu1", "2222")),
        ("ssh://me@gpu1:2222/", ("me@gpu1", "2222")),
        ("me@[2001:db8::1]:22", ("me@2001:db8::1", "22")),
        ("[::1]", ("::1", None)),
    ],
)
def test_a_host_is_taken_in_each_form_that_ssh_has(text, found):
    assert split_host(text) == found


@pytest.mark.parametrize(
    "text", ["", "a b", "-oProxyCommand=id", "me@-oProxyCommand=id", "gpu1:port", "ssh://", "a\nb"]
)
def test_what_is_no_host_never_reaches_ssh(text):
    with pytest.raises(ConfigError, match="expected user@host"):
        split_host(text)


def test_the_command_for_a_changed_key_is_the_one_that_ssh_names():
    said = "Host key for [gpu1]:2222 has changed and you have requested strict checking.\n"
    assert (
        forget_command(f'  ssh-keygen -f "/k" -R "[gpu1]:2222"\n{said}', "me@gpu1")
        == 'ssh-keygen -f "/k" -R "[gpu1]:2222"'
    )
    assert forget_command(said, "me@gpu1") == "ssh-keygen -R [gpu1]:2222"
    assert forget_command("", "me@gpu1") == "ssh-keygen -R gpu1"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A home without keys; gives (its .ssh folder, a function that makes a KeySetup, what was said)."""
    monkeypatch.setenv("HOME", str(tmp_path))
    said = []

    def make(key=None):
        return KeySetup("gpu1", ssh_words=(), key=key, passphrase=False, say=said.append)

    return tmp_path / ".ssh", make, said


def make_key(path):
    path.parent.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def test_the_first_key_that_ssh_would_offer_is_used(here):
    folder, make, _ = here
    rsa = make_key(folder / "id_rsa")
    make_key(folder / "id_ed25519")
    assert make()._key(["~/.ssh/id_rsa", "~/.ssh/id_ed25519"]) == (str(rsa), True)


def test_a_new_key_gets_a_name_that_tells_its_type(here):
    folder, make, _ = here
    path, found = make()._key(["~/.ssh/id_rsa", "~/.ssh/id_ed25519"])
    assert (path, found) == (str(folder / "id_ed25519"), False)
    make()._make(path)
    assert stat.S_IMODE((folder / "id_ed25519").stat().st_mode) == 0o600


def test_a_host_that_nobody_knows_costs_no_key_pair(here):
    folder, make, said = here
    setup = make()
    setup._target = "no-such-host.invalid"
    with pytest.raises(LinkError, match=r"no-such-host\.invalid failed") as caught:
        setup.run()
    assert caught.value.hint
    assert said == []
    assert not list(folder.glob("id_*"))


def test_a_missing_public_half_is_derived_and_damaged_ones_are_refused(here):
    folder, make, _ = here
    key = make_key(folder / "id_ed25519")
    public = key.with_suffix(".pub")
    before = public.read_text().split()[:2]
    public.unlink()
    assert make()._public(str(key)).split()[:2] == before
    public.write_text("two\nlines\n")
    with pytest.raises(ConfigError, match="does not hold one public key") as caught:
        make()._public(str(key))
    assert caught.value.hint


def test_a_private_key_that_is_no_key_is_refused_with_a_hint(here):
    folder, make, _ = here
    folder.mkdir(mode=0o700)
    (folder / "id_ed25519").write_text("nothing\n")
    (folder / "id_ed25519").chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be derived") as caught:
        make()._public(str(folder / "id_ed25519"))
    assert caught.value.hint
    assert not (folder / "id_ed25519.pub").exists()


def test_permissions_are_tightened_and_a_folder_that_is_not_ssh_s_own_is_left_alone(here, tmp_path):
    folder, make, said = here
    key = make_key(folder / "id_ed25519")
    for path, mode in ((folder, 0o755), (key, 0o644), (folder / "config", 0o666)):
        path.touch()
        path.chmod(mode)
    assert make()._fix_modes(str(key)) == [str(folder), str(key), str(folder / "config")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, key, folder / "config")] == [0o700, 0o600, 0o644]
    assert make()._fix_modes(str(key)) == []
    assert len(said) == 3
    elsewhere = tmp_path / "keys"
    other = make_key(elsewhere / "id")
    elsewhere.chmod(0o755)
    assert make()._fix_modes(str(other)) == []
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
