from lmexp.core.provenance.environment import environment


def test_the_commit_is_lmexps_own_whatever_gits_variables_say(tmp_path, monkeypatch):
    before = environment.__wrapped__()["git"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert environment.__wrapped__()["git"] == before
