import pytest

from sweep import import_study, open_study
from sweep.errors import SweepError


def test_a_study_of_folds_does_all_that_a_study_does(run_tiny, workspace, tmp_path, tiny_npz):
    session = run_tiny(trials=2, folds=3)
    study = open_study("tiny-softmax", folder=workspace)
    assert (session.study.config.data.folds, session.study.config.data.val_size) == (3, 90)
    trial = study.best
    assert len(trial.curves["val/accuracy_sd"]) == len(trial.curves["val/loss_sd"]) == 2
    # each of the 90 rows validates once, in a fold of 30
    assert trial.last("val/accuracy") * 90 == pytest.approx(round(trial.last("val/accuracy") * 90))
    assert trial.metrics["val_at_end/accuracy"] == pytest.approx(trial.last("val/accuracy"))
    verdict = study.reproduce()
    assert (verdict.matches, verdict.points) == ("bit for bit", 16)
    assert study.confirm(top=1, seeds=2).winner.trial == trial.number
    assert study.test(refit=True).rows == 9
    study.report(workspace.root / "report.md")
    study.export(tmp_path / "study.zip")
    imported = import_study(tmp_path / "study.zip", name="again", data=tiny_npz, folder=tmp_path)
    assert imported.config.data.folds == 3
    assert imported.best.curves == trial.curves


def test_folds_leave_no_validation_rows_to_ask_for(plan_tiny, workspace):
    with pytest.raises(SweepError, match=r"--val-size 9 does not go with --folds 3.*leave one out"):
        plan_tiny(workspace, folds=3, val_size=9)
    with pytest.raises(SweepError, match="folds must be from 2 to 100: got 1"):
        plan_tiny(workspace, folds=1)
    config, rows = plan_tiny(workspace, folds=5).settle()
    assert config.lanes == 8  # 8 trials of 5 folds fill them
    assert len(rows.folds) == 90
