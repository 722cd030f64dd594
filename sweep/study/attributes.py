"""The keys under which a study and its trials carry what Optuna has no field for."""

SETTINGS = "sweep:settings"
TEST_OPENINGS = "sweep:test_openings"

POSITION = "sweep:position"
"""The trial's place in the sequence that the seed decides; a repeated trial keeps its place."""
ATTEMPT = "sweep:attempt"
SEED = "sweep:seed"
FIRST_PASS = "sweep:first_pass"  # noqa: S105 - a pass over the rows
SLOT = "sweep:slot"
"""Of the whole study; the seat has the slot within its stack."""
SEAT = "sweep:seat"
TRIAL_RUN = "sweep:mlflow_run_id"
ENDING = "sweep:ending"
REASON = "sweep:reason"
CURVES = "sweep:curves"
WEIGHTS_DIGEST = "sweep:weights_digest"
ENVIRONMENT = "sweep:environment"
