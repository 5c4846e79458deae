"""Every known defect of the original has a test that it cannot come back: this says which."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODEL, SCHEMA, NETWORK = "models/test_model.py", "models/test_schema.py", "models/test_original_network_defects.py"
PARTS, TRAINING, RANKS = "training/test_parts.py", "training/test_training.py", "training/test_ranks.py"
STEPS = "training/test_original_training_defects.py"
RESTORER, LOADING = "inference/test_restorer.py", "inference/test_loading.py"

# defect, in the order and words of the original's list -> (file, test)
COVERED = {
    "random conditioning when X-Codec is missing": [
        ("codecs/test_registry.py", "test_a_feature_encoder_without_weights_names_the_fix"),
        ("codecs/test_xcodec.py", "test_without_transformers_the_fix_is_named"),
        ("test_original_flags.py", "test_missing_weights_name_both_ways_out"),
    ],
    "unusable AudioMAE id": [
        ("commands/test_weights_commands.py", "test_after_fetching_everything_works_offline"),
    ],
    "output cut to about 6 s whatever the input": [
        (RESTORER, "test_a_network_that_changes_nothing_gives_the_recording_back"),
        (RESTORER, "test_windows_cover_every_frame_and_overlap"),
    ],
    "streams of different frame rates sliced by one index": [
        (MODEL, "test_a_stream_at_another_rate_lines_up_by_its_seconds"),
        (STEPS, "test_each_stream_is_cut_by_its_own_clock"),
    ],
    "AudioMAE patches interpolated as if a time series": [
        ("codecs/test_audiomae.py", "test_patches_are_time_major"),
        ("codecs/test_audiomae.py", "test_tokens_are_the_models_pooled_over_frequency"),
    ],
    "no positions in the DiT": [(NETWORK, "test_attention_depends_on_when_its_context_was")],
    "44.1 kHz fed to 16 kHz models": [("../contracts/feature_encoder.py", "test_it_hears_at_its_own_rate")],
    "no degraded-latent condition": [(NETWORK, "test_the_velocity_depends_on_the_damaged_latent")],
    "independent noise per chunk": [
        (RESTORER, "test_a_constant_field_has_no_seams"),
        ("inference/test_streaming.py", "test_noise_depends_on_its_place_alone"),
    ],
    "unscaled t": [(NETWORK, "test_the_time_embedding_turns_within_the_unit_interval")],
    "no norm and no zero-init in AdaLN": [
        (MODEL, "test_blocks_are_the_identity_at_the_start"),
        (MODEL, "test_an_untrained_network_changes_nothing"),
        (NETWORK, "test_a_block_answers_a_loud_stream_no_louder"),
    ],
    "crash when d_model != in_channels": [(MODEL, "test_widths_do_not_depend_on_the_latent")],
    "attention weights materialised": [(NETWORK, "test_no_attention_matrix_is_kept_for_the_gradient")],
    "latents not standardised": [(STEPS, "test_training_sees_standardised_latents")],
    "hop 512 assumed for 16/24 kHz models": [("codecs/test_dac.py", "test_hop_comes_from_the_model")],
    "mono `.wav` only": [("test_original_flags.py", "test_prepared_latents_are_one_snapshot")],
    "last chunk zero-padded with the null condition": [(RESTORER, "test_windows_cover_every_frame_and_overlap")],
    "EMA 0.9999 without warm-up": [(PARTS, "test_the_average_starts_fast_and_ends_at_its_decay")],
    "EMA updated on skipped steps": [(STEPS, "test_a_skipped_step_leaves_weights_and_average")],
    "last accumulation group under-scaled": [
        (TRAINING, "test_loss_and_gradients_do_not_depend_on_how_a_step_is_split"),
        (PARTS, "test_a_step_takes_the_same_samples_however_they_are_split"),
    ],
    "no no_sync": [(STEPS, "test_gradients_are_summed_over_ranks_once_a_step")],
    "seeds and saves by local rank": [
        (STEPS, "test_only_the_first_of_all_ranks_saves"),
        (PARTS, "test_a_step_takes_the_same_samples_however_they_are_split"),
    ],
    "resume loses scaler, RNG, position": [
        (TRAINING, "test_a_stopped_run_resumes_to_the_bit"),
        (STEPS, "test_the_scaler_comes_back"),
    ],
    "best never marked": [(TRAINING, "test_training_learns_and_leaves_what_it_promises")],
    "non-atomic writes, no retention": [
        (STEPS, "test_a_save_that_fails_leaves_the_checkpoint_before"),
        (TRAINING, "test_training_learns_and_leaves_what_it_promises"),
    ],
    "NCCL only": [
        (RANKS, "test_two_ranks_train_what_one_rank_does"),
        (STEPS, "test_gradients_are_summed_over_ranks_once_a_step"),
    ],
    "sizes repeated as flags": [
        (SCHEMA, "test_an_export_comes_back_the_same"),
        (LOADING, "test_sizes_come_from_the_tensors_and_a_contradiction_names_both"),
    ],
    "silent strict=False": [
        (LOADING, "test_missing_and_surplus_weights_are_never_passed_over"),
        (NETWORK, "test_weights_that_are_missing_or_too_many_are_refused"),
    ],
    "failures exit 0": [
        (TRAINING, "test_a_missing_snapshot_is_one_line"),
        (TRAINING, "test_a_run_of_bad_steps_is_an_error_that_says_what_to_do"),
    ],
    "epoch_9 sorted after epoch_11": [(STEPS, "test_epochs_are_sorted_by_number")],
}


@pytest.mark.parametrize("defect", COVERED)
def test_each_defect_has_its_tests(defect: str) -> None:
    for place, name in COVERED[defect]:
        found = re.search(rf"^ *def {name}\(", (HERE / place).read_text(), re.MULTILINE)
        assert found, f"{place} has no {name}"
