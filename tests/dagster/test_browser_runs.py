"""What a person does in the browser, by the requests that the browser makes: each group from an empty home."""

import shutil

import pytest
from browser import dagster_dev
from made_corpus import make_corpus

pytestmark = pytest.mark.slow
KINDS = ["seed", "clean"]


@pytest.fixture
def browser(tmp_path):
    corpus, home = tmp_path / "corpus", tmp_path / "home"
    make_corpus(corpus)
    (home / "data").mkdir(parents=True)
    shutil.copytree(corpus / "inbox", home / "data" / "inbox")
    with dagster_dev(home, tmp_path / "log", AUDIOBUFF_INCOMING=str(corpus), AUDIOBUFF_SETTLE_SECONDS="0") as made:
        yield made


@pytest.mark.timeout(900)
def test_each_group_materialises_from_nothing(browser):
    shards = browser.wait_for(lambda: browser.partitions("audio/pristine"), 120)
    assert browser.wait_for(lambda: browser.partitions("restoration/restored"), 60)
    browser.materialise(["audio/pristine"], shards)
    browser.materialise(["degradation/plan", "audio/degraded"], shards)
    browser.materialise(["latents/target", "latents/structure", "latents/semantic"], shards)
    browser.materialise(
        ["dataset/training_snapshot", "model/dit_checkpoint"],
        config={"ops": {"model__dit_checkpoint": {"config": {"profile": "test"}}}},
    )
    browser.materialise(["evaluation/degraded"], KINDS)
    evaluations = [found for found in browser.partitions("evaluation/metrics") if found.split("|")[1] in KINDS]
    assert len(evaluations) == len(KINDS)
    browser.materialise(["evaluation/restorations", "evaluation/metrics"], evaluations)
    browser.materialise(["evaluation/leaderboard"])
    browser.materialise(["model/candidate", "model/champion"])
    browser.materialise(["restoration/restored"], browser.partitions("restoration/restored"))
