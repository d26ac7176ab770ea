"""Commits, branches and tags go both ways with real git; what cannot go is told, and nothing is forced."""

import os

import pytest

from afield.errors import GitRefused


@pytest.fixture
def begun(two):
    """A repository here with two commits and a tag, carried over once."""
    two.git("here", "init", "-q")
    two.commit("here", "a.py", "one\n", "first")
    two.git("here", "tag", "-a", "v1.0", "-m", "release")
    two.commit("here", "b.py", "two\n", "second")
    two.files()
    two.told = two.sync()
    return two


@pytest.fixture
def quick(pair):
    """The same over the quicker road."""
    pair.git("here", "init", "-q")
    pair.commit("here", "a.py", "one\n", "first")
    pair.files()
    pair.sync()
    return pair


def test_the_first_sync_makes_the_repository_there(begun):
    begun.same()
    assert begun.git("there", "describe") == begun.git("here", "describe")
    assert begun.git("there", "symbolic-ref", "HEAD") == "refs/heads/main"
    assert begun.told["notes"] == ["made the repository there"]


def test_commits_go_there_and_come_back(begun):
    new = begun.commit("here", "a.py", "one\nmore\n")
    begun.files()
    assert begun.sync()["there"] == [f"branch main → {new[:10]}"]
    begun.same()
    new = begun.commit("there", "c.py", "made there\n", "there")
    begun.files("here")
    assert begun.sync()["here"] == [f"branch main → {new[:10]}"]
    begun.same()
    assert begun.git("here", "log", "-1", "--format=%s") == "there"
    assert "afield" in begun.git("here", "reflog", "-1", "HEAD")


def test_nothing_to_do_does_nothing(begun):
    told = begun.sync()
    assert (told["here"], told["there"], told["apart"], told["notes"]) == ([], [], [], [])


def test_a_switch_of_branches_is_followed(begun):
    begun.git("here", "checkout", "-q", "-b", "feature")
    begun.commit("here", "f.py", "feature\n")
    begun.files()
    begun.sync()
    begun.same()
    assert begun.git("there", "symbolic-ref", "HEAD") == "refs/heads/feature"
    begun.git("there", "checkout", "-q", "main")
    begun.files("here")
    assert "HEAD → main" in begun.sync()["here"]
    begun.same()


def test_a_detached_head_is_followed(begun):
    begun.git("here", "checkout", "-q", "--detach", "HEAD^")
    begun.files()
    begun.sync()
    begun.same()
    begun.commit("here", "d.py", "on no branch\n")
    begun.files()
    begun.sync()
    begun.same()


def test_branches_that_went_apart_are_told_and_left(begun):
    mine = begun.commit("here", "a.py", "here\n")
    theirs = begun.commit("there", "z.py", "there\n")
    told = begun.sync()
    assert told["apart"] == ["main"]
    assert begun.git("here", "rev-parse", "main") == mine
    assert begun.git("there", "rev-parse", "main") == theirs
    # Both can be seen here, so that a person can merge.
    assert begun.git("here", "rev-parse", "refs/afield/gpu1/heads/main") == theirs
    begun.git("here", "merge", "-q", "-m", "merged", "refs/afield/gpu1/heads/main")
    begun.files()
    begun.sync()
    begun.same()


def test_a_rewritten_branch_is_not_forced(quick):
    before = quick.git("there", "rev-parse", "main")
    quick.commit("here", "a.py", "two\n")
    quick.git("here", "commit", "-q", "--amend", "-m", "amended", "--no-edit")
    quick.git("here", "reset", "-q", "--soft", "HEAD^")
    quick.git("here", "commit", "-q", "--amend", "-m", "the first one, rewritten")
    assert quick.sync()["apart"] == ["main"]
    assert quick.git("there", "rev-parse", "main") == before


def test_local_changes_there_stay_changes(quick):
    quick.commit("here", "b.py", "b\n")
    quick.files()
    (quick.there / "a.py").write_text("edited there\n")
    quick.sync()
    assert quick.git("there", "status", "--porcelain") == "M a.py"
    assert (quick.there / "a.py").read_text() == "edited there\n"


def test_what_is_staged_there_is_kept_or_the_branch_waits(quick):
    (quick.there / "new.py").write_text("staged\n")
    quick.git("there", "add", "new.py")
    quick.commit("here", "b.py", "b\n")
    quick.sync()
    assert quick.git("there", "rev-parse", "HEAD") == quick.git("here", "rev-parse", "HEAD")
    assert "A  new.py" in quick.git("there", "status", "--porcelain")
    (quick.there / "a.py").write_text("staged otherwise\n")
    quick.git("there", "add", "a.py")
    quick.commit("here", "a.py", "committed\n")
    before = quick.git("there", "rev-parse", "HEAD")
    told = quick.sync()
    assert "staged" in told["notes"][0]
    assert quick.git("there", "rev-parse", "HEAD") == before
    assert quick.git("there", "show", ":a.py") == "staged otherwise"


def test_a_checked_out_branch_waits_while_files_are_not_equal(quick):
    before = quick.git("there", "rev-parse", "main")
    quick.git("here", "branch", "side")
    quick.commit("here", "b.py", "b\n")
    told = quick.sync(unequal={"there": "2 conflicts are open"})
    assert told["notes"] == ["branch main is behind there: 2 conflicts are open"]
    assert quick.git("there", "rev-parse", "main") == before
    assert quick.git("there", "rev-parse", "side") == before


def test_deleted_branches_and_tags_stay_deleted_and_are_told(quick):
    quick.git("here", "branch", "old")
    quick.git("here", "tag", "t1")
    quick.sync()
    quick.git("here", "branch", "-D", "old")
    quick.git("there", "tag", "-d", "t1")
    told = quick.sync()
    assert ["old was deleted here" in note for note in told["notes"]].count(True) == 1
    assert ["t1 was deleted there" in note for note in told["notes"]].count(True) == 1
    assert quick.git("here", "branch", "--list", "old") == ""
    assert quick.git("there", "branch", "--list", "old") == "old"


def test_another_tag_of_the_same_name_is_left_alone(quick):
    quick.git("here", "tag", "t1")
    quick.commit("there", "x.py", "x\n")
    quick.git("there", "tag", "t1")
    told = quick.sync()
    assert told["notes"] == ["tag t1 is another one there: left alone"]
    assert quick.git("here", "rev-parse", "t1") != quick.git("there", "rev-parse", "t1")


def test_a_repository_that_is_only_there_comes_here(pair):
    pair.git("there", "init", "-q")
    pair.commit("there", "a.py", "one\n")
    pair.files("here")
    assert pair.sync()["notes"] == ["made the repository here"]
    pair.same()


def test_a_linked_work_tree_here_works_and_its_siblings_are_left_alone(quick):
    trees = quick.folder / "sibling"
    quick.git("here", "worktree", "add", "-q", str(trees), "-b", "other")
    quick.sync()
    quick.git("there", "checkout", "-q", "other")
    quick.commit("there", "o.py", "o\n")
    quick.git("there", "checkout", "-q", "main")
    told = quick.sync()
    assert told["notes"] == ["branch other is checked out in another work tree here: left alone"]
    quick.here = trees
    (quick.folder / "memory.json").unlink()
    quick.there = quick.folder / "there2"
    quick.there.mkdir()
    quick.files()
    quick.sync()
    assert quick.git("there", "symbolic-ref", "HEAD") == "refs/heads/other"
    assert quick.git("there", "status", "--porcelain") == ""


def test_sha256_repositories_are_carried(pair):
    pair.git("here", "init", "-q", "--object-format=sha256")
    pair.commit("here", "a.py", "one\n")
    pair.files()
    pair.sync()
    pair.same()
    assert len(pair.git("there", "rev-parse", "HEAD")) == 64


def test_the_name_for_commits_goes_along_where_there_is_none(pair):
    pair.git("here", "init", "-q")
    pair.git("here", "config", "user.name", "Somebody")
    pair.commit("here", "a.py", "one\n")
    (pair.folder / "gitconfig").write_text("")
    pair.git("here", "config", "user.email", "some@example.org")
    pair.files()
    pair.sync()
    pair.commit("there", "a.py", "two\n")
    assert pair.git("there", "log", "-1", "--format=%an <%ae>") == "Somebody <some@example.org>"


def test_many_commits_and_odd_names_arrive(pair):
    pair.git("here", "init", "-q")
    for number in range(20):
        pair.commit("here", 'ünï "quoted" name.py', os.urandom(3000).hex() + f"{number}\n")
    pair.git("here", "branch", "feature/ünïcode")
    pair.files()
    pair.sync()
    pair.same()


def test_submodules_are_told(quick):
    other = quick.folder / "other"
    other.mkdir()
    whole = quick.here
    quick.here = other
    quick.git("here", "init", "-q")
    quick.commit("here", "s.py", "s\n")
    quick.here = whole
    quick.git("here", "-c", "protocol.file.allow=always", "submodule", "-q", "add", str(other), "sub")
    quick.git("here", "commit", "-q", "-m", "submodule")
    quick.files()
    told = quick.sync()
    assert any("submodules" in note for note in told["notes"])
    assert quick.git("there", "rev-parse", "HEAD") == quick.git("here", "rev-parse", "HEAD")


def test_lfs_without_git_lfs_there_is_told(quick):
    quick.commit("here", ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    quick.files()
    assert any("LFS" in note for note in quick.sync()["notes"])


# -- refused


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize(
    ("name", "word"),
    [("index.lock", "another git command"), ("MERGE_HEAD", "merge"), ("rebase-merge", "rebase"), ("BISECT_LOG", "bis")],
)
def test_a_repository_in_use_is_left_alone(quick, side, name, word):
    quick.commit("here", "b.py", "b\n")
    before = quick.git("there", "rev-parse", "HEAD")
    (quick.here if side == "here" else quick.there).joinpath(".git", name).touch()
    with pytest.raises(GitRefused, match=f"{side} is in use: .*{word}"):
        quick.sync()
    assert quick.git("there", "rev-parse", "HEAD") == before


def test_no_repository_anywhere_is_refused(pair):
    with pytest.raises(GitRefused, match="no repository") as caught:
        pair.sync()
    assert "git init" in caught.value.hint


def test_a_shallow_clone_is_refused(quick):
    quick.commit("here", "b.py", "b\n")
    shallow = quick.folder / "shallow"
    quick.git("here", "clone", "-q", "--depth", "1", f"file://{quick.here}", str(shallow))
    quick.here = shallow
    with pytest.raises(GitRefused, match="shallow"):
        quick.sync()


def test_a_part_of_a_larger_repository_is_refused(quick):
    part = quick.here / "part"
    part.mkdir()
    quick.here = part
    with pytest.raises(GitRefused, match="larger repository"):
        quick.sync()


def test_two_object_formats_are_refused(quick):
    other = quick.folder / "other"
    other.mkdir()
    quick.here = other
    quick.git("here", "init", "-q", "--object-format=sha256")
    with pytest.raises(GitRefused, match="sha256"):
        quick.sync()


def test_no_git_there_is_said(quick, monkeypatch):
    tools = quick.folder / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "pwd"):
        (tools / name).symlink_to(f"/bin/{name}")
    from afield.gitsync import ends

    monkeypatch.setitem(ends.SET, "PATH", str(tools))
    monkeypatch.setattr(ends, "clean_environment", lambda: dict(os.environ))
    with pytest.raises(GitRefused, match="git was not found there"):
        quick.sync()
