import os

from audiobuff_core.codecs.loaded import kept_while_unchanged


def test_a_place_is_read_again_only_when_it_changed(tmp_path):
    calls = []
    read = kept_while_unchanged(lambda place: calls.append(place) or (place / "weights").read_text())
    (tmp_path / "weights").write_text("one")
    assert [read(tmp_path), read(tmp_path)] == ["one", "one"]
    assert len(calls) == 1
    (tmp_path / "weights").write_text("two")
    os.utime(tmp_path / "weights", ns=(1, 1))
    assert read(tmp_path) == "two"
    assert len(calls) == 2


def test_what_fails_is_not_remembered(tmp_path):
    read = kept_while_unchanged(lambda place: (place / "weights").read_text())
    for _ in range(2):
        try:
            read(tmp_path)
        except FileNotFoundError:
            continue
        raise AssertionError("expected FileNotFoundError")
    (tmp_path / "weights").write_text("there")
    assert read(tmp_path) == "there"
