"""What afield.toml may hold, and how each mistake is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.config import schema, write
from afield.config.explain import explain_machine
from afield.config.find import find_project
from afield.config.load import load_project
from afield.errors import ConfigError, NoProject


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()

    def load(text, user="", start=None):
        (folder / "afield.toml").write_text(text)
        user_file = tmp_path / "user.toml"
        user_file.write_text(user)
        return load_project(str(start or folder), user_file=str(user_file))

    load.folder = folder
    return load


def test_a_single_machine_is_the_default_and_has_a_folder_of_the_projects_name(project):
    loaded = project('[machines.gpu1]\nplace = "ssh://me@gpu1"\n')
    assert loaded.name == "train"
    machine = loaded.machine()
    assert (machine.name, machine.place, machine.folder) == ("gpu1", "ssh://me@gpu1", "~/afield/train")
    assert machine.mode == "two-way-safe"


def test_it_is_found_from_a_folder_below(project):
    below = project.folder / "a" / "b"
    below.mkdir(parents=True)
    assert project('[machines.x]\nplace="local://"\n', start=below).folder == str(project.folder.resolve())


def test_later_layers_win_and_say_so(project):
    loaded = project(
        '[sync]\nmode = "push"\n[run]\nenv = {A = "1", B = "2"}\n[machines.x]\nplace = "local://"\n[machines.x.run]\nenv = {B = "3"}\n',
        user='[sync]\nmode = "pull"\nignore = ["*.log"]\n',
    )
    machine = loaded.machine()
    assert machine.mode == "push"
    assert machine.ignore == ("*.log",)
    assert machine.env == {"A": "1", "B": "3"}
    origin = {row["key"]: row["from"] for row in explain_machine(machine)}
    assert origin["sync.mode"].endswith("afield.toml")
    assert origin["sync.ignore"].endswith("user.toml")
    assert origin["python"] == "default"


@pytest.mark.parametrize(
    ("text", "wrong", "hint"),
    [
        ('[machines.x]\nplce = "local://"\n', "plce", "place"),
        ('[sync]\nmodus = "push"\n', "modus", "mode"),
        ('[machines.x]\nplace = "local://"\n[machines.x.sync]\nmode = "both"\n', "both", 'mode = "two-way-safe"'),
        ("[machines.x]\n", "place is missing", "ssh://"),
        ('[machines.x]\nplace = "local://"\n[sync]\nask-above = "lots"\n', "lots", "bytes"),
        ('[machines.x]\nplace = ""\n', "not empty", "where"),
        ("machine = \n", "afield.toml", "TOML"),
        ('[machines."a b"]\nplace = "local://"\n', "a b", "--name"),
    ],
)
def test_a_mistake_names_the_key_and_the_fix(project, text, wrong, hint):
    with pytest.raises(ConfigError) as caught:
        project(text)
    assert wrong in caught.value.text
    assert hint in caught.value.hint


def test_a_default_that_does_not_exist_is_refused(project):
    with pytest.raises(ConfigError, match="nowhere"):
        project('machine = "nowhere"\n[machines.x]\nplace = "local://"\n')


def test_two_machines_without_a_default_ask_for_one(project):
    loaded = project('[machines.x]\nplace = "local://"\n[machines.y]\nplace = "local://"\n')
    with pytest.raises(ConfigError, match="no default"):
        loaded.machine()
    assert loaded.machine("y").name == "y"
    with pytest.raises(ConfigError, match="known: x, y"):
        loaded.machine("z")


def test_no_file_says_how_to_make_one(tmp_path):
    assert find_project(str(tmp_path)) is None
    with pytest.raises(NoProject) as caught:
        load_project(str(tmp_path))
    assert "afield init" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [("1 GB", 10**9), ("64MiB", 64 << 20), ("1.5k", 1500), ("12", 12), (7, 7), ("2 KiB", 2048), ("1B", 1)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert schema.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1 XB", "1 G B", -3, True, None])
def test_other_sizes_are_refused(text):
    with pytest.raises(ConfigError):
        schema.parse_size(text)


plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(place=plain, folder=plain, python=st.none() | plain, ssh=st.lists(plain, max_size=3))
def test_what_init_writes_is_what_load_reads(tmp_path_factory, place, folder, python, ssh):
    home = tmp_path_factory.mktemp("p")
    text = write.render_new("m-1", write.render_machine("m-1", place, folder, python=python, ssh=tuple(ssh)))
    text = write.append_machine(text, write.render_machine("m.2", "local://", "~/x"))
    (home / "afield.toml").write_bytes(text.encode())
    loaded = load_project(str(home), user_file=str(home / "none.toml"))
    machine = loaded.machine()
    assert (machine.name, machine.place, machine.folder, machine.python, machine.ssh) == (
        "m-1",
        place,
        folder,
        python,
        tuple(ssh),
    )
    assert loaded.machine("m.2").place == "local://"


def test_lists_of_patterns_are_settings_of_each_machine(project):
    loaded = project(
        '[sync]\nmode = "push"\npull = ["runs/**"]\nkeep-there = ["data/**"]\n'
        '[machines.a]\nplace = "local://"\n[machines.b]\nplace = "local://"\n'
        '[machines.b.sync]\nmode = "two-way-safe"\npull = []\ntwo-way = ["*.ipynb"]\n'
    )
    a, b = loaded.machines["a"], loaded.machines["b"]
    assert (a.mode, a.pull, a.keep_there, a.two_way) == ("push", ("runs/**",), ("data/**",), ())
    assert (b.mode, b.pull, b.keep_there, b.two_way) == ("two-way-safe", (), ("data/**",), ("*.ipynb",))


TWO = '[machines.a]\nplace = "local://"\n[machines.b]\nplace = "local://"\nfolder = "/scratch/train/"\n'


def test_further_folders_have_their_own_way(project):
    loaded = project(
        f'{TWO}[folders.common]\nhere = "../common"\nthere = "~/common"\nmode = "push"\n'
        '[folders.data]\nhere = "data"\nthere = "data"\n'
        '[machines.b.folders.data]\nthere = "/big/data"\nmode = "pull"\nignore = ["*.tmp"]\n'
    )
    common, data = loaded.machines["a"].folders
    home = str(project.folder.resolve())
    assert (common.name, common.there, common.mode) == ("common", "~/common", "push")
    assert common.here == str(project.folder.parent.resolve() / "common")
    assert (data.here, data.there, data.mode) == (f"{home}/data", "~/afield/train/data", "two-way-safe")
    other = loaded.machines["b"].folders[1]
    assert (other.there, other.mode, other.ignore) == ("/big/data", "pull", ("*.tmp",))
    rows = {row["key"]: row for row in explain_machine(loaded.machines["b"])}
    assert rows["folders.data.mode"]["value"] == "pull"
    assert rows["folders.data.mode"]["from"].endswith("[machines.b]")
    assert rows["folders.common.there"]["from"].endswith("afield.toml")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('folders = "x"\n', "tables"),
        ('[folders.x]\nhere = "x"\n', "there is missing"),
        ('[folders.x]\nhere = "x"\nthere = "x"\nmod = "push"\n', "mod"),
        ('[folders.x]\nhere = "x"\nthere = "x"\nmode = "sideways"\n', "two-way-safe"),
        ('[folders.x]\nhere = "."\nthere = "x"\n', "the project are the same folder here"),
        ('[folders.x]\nhere = "x"\nthere = "."\n', "the project are the same folder there"),
        ('[folders.x]\nhere = "x"\nthere = "y"\n[folders.z]\nhere = "z"\nthere = "q/../y"\n', "folder x are the same"),
        ('[folders."a/b"]\nhere = "x"\nthere = "x"\n', "a/b"),
        ('[sync]\npull = "runs"\n', "list of texts"),
    ],
)
def test_a_folder_that_cannot_be_is_named(project, text, wrong):
    with pytest.raises(ConfigError, match=wrong):
        project(text + TWO)


def test_folders_stand_in_a_projects_own_file(project):
    with pytest.raises(ConfigError, match="folders"):
        project(TWO, user='[folders.x]\nhere = "x"\nthere = "x"\n')


def test_machines_are_chosen_by_name_or_all(project):
    loaded = project('machine = "a"\n' + TWO)
    assert [machine.name for machine in loaded.chosen([])] == ["a"]
    assert [machine.name for machine in loaded.chosen(["b", "a", "b"])] == ["b", "a"]
    assert [machine.name for machine in loaded.chosen([], every=True)] == ["a", "b"]
    with pytest.raises(ConfigError, match="no machine 'c'"):
        loaded.chosen(["a", "c"])
