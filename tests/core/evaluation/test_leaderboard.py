import base64
import io
import json
import re
import shutil
from pathlib import Path

import pytest
import soundfile
from evaluated_clips import KINDS, evaluate

from audiobuff_core.errors import DataMissing
from audiobuff_core.evaluation.held_out import EVALUATION_KINDS, damage_held_out, load_held_out
from audiobuff_core.evaluation.leaderboard import load_leaderboard, make_leaderboard
from audiobuff_core.evaluation.measure import load_metrics
from audiobuff_core.evaluation.players import damage_in_words, make_players


@pytest.fixture
def html(evaluated):
    return Path(make_leaderboard(evaluated, ["aaaa"]).report_path).read_text(encoding="utf-8")


def test_the_report_asks_nothing_of_the_network(html):
    addresses = re.findall(r"""(?:src|href|url|action|srcset)\s*[=(]\s*["']?([^"'\s>)]+)""", html)
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert len(html) < 12_000_000


def test_the_report_says_what_the_tables_say(evaluated, html):
    table = load_metrics(evaluated, "aaaa", "seed")
    body = re.sub(r"<(style|script).*?</\1>", "", html, flags=re.DOTALL)
    text = " ".join(re.sub(r"<[^>]+>", " ", body).split())
    assert f"{len(table.items)} clips never heard in training" in text
    for row in (table.degraded, table.restored):
        assert f"{row['lsd_db']:.1f}" in text
    for kind in KINDS:
        assert f"Clips, {kind}" in text
    assert "builtin-mdct 1" in text
    assert "1,234,567" in text
    assert "Optimiser steps 99" in text
    assert "Nothing got worse" not in text  # the smoother harms clean clips
    assert "untouched (" in text


def test_all_players_hold_whole_flac_files(evaluated, html):
    sounds = re.findall(r"data:audio/flac;base64,([^\"]+)", html)
    # Six of the main kind, one of each other kind, three versions each.
    assert len(sounds) == 3 * (6 + 2)
    for sound in sounds[:3]:
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)))
        assert rate == 44_100
        assert len(samples) == round(0.5 * 44_100)
        assert 0 < abs(samples).max() <= 0.9001


def test_the_main_kind_is_played_from_best_to_worst(evaluated):
    tables = {kind: load_metrics(evaluated, "aaaa", kind) for kind in KINDS}
    players = make_players(evaluated, tables, "seed")
    count = len(tables["seed"].items)
    assert players["seed"][0].rank == f"best of {count}"
    assert players["seed"][-1].rank == f"worst of {count}"
    assert players["seed"][-1].track_id == tables["seed"].worst(1)[0].track_id
    assert [player.rank for player in players["noise"]] == ["middle of 6"]
    assert "snr db" in players["noise"][0].damage
    assert players["clean"][0].damage == "none: the input is the clean clip"


def test_players_keep_their_budget(evaluated, monkeypatch):
    tables = {kind: load_metrics(evaluated, "aaaa", kind) for kind in KINDS}
    whole = make_players(evaluated, tables, "seed")
    sizes = [player.num_bytes for of_kind in whole.values() for player in of_kind]
    monkeypatch.setattr("audiobuff_core.evaluation.players.BUDGET_BYTES", sum(sizes) // 2)
    fewer = make_players(evaluated, tables, "seed")
    kept = [player.num_bytes for of_kind in fewer.values() for player in of_kind]
    assert sum(kept) <= sum(sizes) // 2
    assert {player.rank.split()[0] for player in fewer["seed"]} >= {"best", "worst"}


def test_the_same_measurements_leave_the_report_alone(evaluated):
    first = make_leaderboard(evaluated, ["aaaa"])
    stamp, content = Path(first.report_path).stat().st_mtime_ns, Path(first.report_path).read_bytes()
    assert make_leaderboard(evaluated, ["aaaa"]) == first == load_leaderboard(evaluated)
    assert Path(first.report_path).stat().st_mtime_ns == stamp
    Path(first.report_path).unlink()
    make_leaderboard(evaluated, ["aaaa"])
    assert Path(first.report_path).read_bytes() == content


def test_checkpoints_are_ranked_by_the_main_kind(evaluated, shard):
    evaluate(evaluated, shard, "0000", lambda waveform: waveform, kinds=("seed",))
    made = make_leaderboard(evaluated, ["0000", "aaaa"])
    assert [row.checkpoint for row in made.rows] == ["aaaa", "0000"]
    assert made.featured == "aaaa"
    assert made.rows[1].gains["lsd_db"]["mean"] == 0
    assert set(made.rows[1].missing) == set(EVALUATION_KINDS) - {"seed"}
    assert "clean" in made.rows[0].lost
    assert "All checkpoints" in Path(made.report_path).read_text(encoding="utf-8")
    other = make_leaderboard(evaluated, ["0000", "aaaa"], featured="0000")
    assert other.digest != made.digest
    assert "checkpoint <code>0000</code>" in Path(other.report_path).read_text(encoding="utf-8")


def test_what_was_measured_on_other_clips_is_left_out(evaluated, shard):
    """After another seed drew the damage anew, an older checkpoint's figures are about clips that are gone."""
    for kind in KINDS:
        damage_held_out(evaluated, kind, shards=[shard], clip_seconds=0.5, max_clips=6, seed=2)
    with pytest.raises(DataMissing, match="None of 1 checkpoints was measured on today's held-out clips"):
        make_leaderboard(evaluated, ["aaaa"])


def test_what_was_never_measured_is_named(evaluated):
    for keys in (["bbbb"], []):
        with pytest.raises(DataMissing, match="evaluat"):
            make_leaderboard(evaluated, keys)
    with pytest.raises(DataMissing, match="materialise evaluation/leaderboard"):
        load_leaderboard(evaluated)


def test_names_from_files_can_not_become_markup(evaluated):
    name = load_metrics(evaluated, "aaaa", "seed").items[0].track_id
    folder = Path(evaluated, "evaluation")
    clips, restored = folder / "degraded" / "seed", folder / "restorations" / "aaaa" / "seed"
    measures = folder / "metrics" / "aaaa" / "seed.json"
    for file in (measures, clips / "manifest.json", restored / "manifest.json"):
        file.write_text(file.read_text().replace(f'"track_id": "{name}"', '"track_id": "<script>x"'))
    shutil.copy(clips / f"{name}.clean.wav", clips / "<script>x.clean.wav")
    manifest = json.loads((restored / "manifest.json").read_text())
    manifest["evaluation_digest"] = load_held_out(evaluated, "seed").digest
    (restored / "manifest.json").write_text(json.dumps(manifest))
    html = Path(make_leaderboard(evaluated, ["aaaa"]).report_path).read_text(encoding="utf-8")
    assert "<script>x" not in html
    assert "&lt;script&gt;x" in html


def test_damage_in_words_names_every_fault(evaluated):
    from audiobuff_core.evaluation.held_out import load_held_out

    words = damage_in_words(load_held_out(evaluated, "seed").items[0])
    assert words.startswith("filters (highpass hz 200")
    assert words.count(";") == 2
