"""The sensors of checkpoints: evaluation, once on each kind of damage, then release, once."""

from ticks import KINDS

from audiobuff_core.files import write_json
from jobs.checkpoints import evaluate_new_checkpoint, register_new_checkpoints, release_evaluated_checkpoint
from resources.partitions import evaluation_key


def test_a_new_checkpoint_is_evaluated_once_on_every_kind_and_then_released_once(place):
    assert "No new materialization" in place.tick(evaluate_new_checkpoint).skip_message
    for kind in KINDS:
        place.event("evaluation/degraded", f"clips of {kind}", kind)
    place.checkpoint("first")
    requests = place.tick(evaluate_new_checkpoint).run_requests
    assert place.instance.get_dynamic_partitions("checkpoints") == ["first"]
    assert {request.job_name for request in requests} == {"evaluate_checkpoint"}
    assert {request.partition_key for request in requests} == {evaluation_key("first", kind) for kind in KINDS}
    assert not place.tick(evaluate_new_checkpoint).run_requests
    assert "under way or failed" in place.tick(release_evaluated_checkpoint).skip_message
    place.measure("first")
    (release,) = place.tick(release_evaluated_checkpoint).run_requests
    assert release.job_name == "release_checkpoint"
    assert "was proposed" in place.tick(release_evaluated_checkpoint).skip_message


def test_kinds_without_clips_get_them_first_and_are_evaluated_then(place):
    place.event(
        "evaluation/degraded",
        "clips",
        KINDS[0],
    )
    place.checkpoint("first")
    requests = place.tick(evaluate_new_checkpoint).run_requests
    jobs = [request.job_name for request in requests]
    assert jobs.count("damage_held_out_audio") == len(KINDS) - 1
    assert jobs.count("evaluate_checkpoint") == 1
    place.event("evaluation/degraded", "clips", KINDS[1])
    (request,) = place.tick(release_evaluated_checkpoint).run_requests
    assert request.partition_key == evaluation_key("first", KINDS[1])


def test_the_champion_is_measured_again_on_clips_that_changed(place):
    for kind in KINDS:
        place.event("evaluation/degraded", f"clips of {kind}", kind)
    place.checkpoint("first")
    place.tick(evaluate_new_checkpoint)
    place.measure("first")
    write_json(f"{place.root}/release/champion.json", {"checkpoint": "first"})
    place.checkpoint("second")
    place.event("evaluation/degraded", "other clips", KINDS[0])
    place.tick(evaluate_new_checkpoint)
    (request,) = place.tick(release_evaluated_checkpoint).run_requests
    assert request.partition_key == evaluation_key("first", KINDS[0])


def test_a_checkpoint_from_elsewhere_is_registered_when_it_is_finished(place):
    write_json(f"{place.root}/checkpoints/theirs/config.json", {})
    assert place.tick(register_new_checkpoints).skip_message
    write_json(f"{place.root}/checkpoints/theirs/done.json", {"weights_sha256": "abc"})
    (event,) = place.tick(register_new_checkpoints).asset_events
    assert event.metadata["checkpoint"].value == "theirs"
    assert place.tick(register_new_checkpoints).skip_message
    assert place.tick(evaluate_new_checkpoint).run_requests


def test_an_event_that_names_no_checkpoint_says_so(place):
    place.event("model/dit_checkpoint", "x")
    assert "names no finished checkpoint" in place.tick(evaluate_new_checkpoint).skip_message
