import csv
import io
import json
from dataclasses import replace

import pytest

from sweep.archive import container
from sweep.archive.contents import CARRIED, LEFT, Contents, read_contents
from sweep.archive.plain import RefusedError
from sweep.archive.trial_record import differences
from sweep.errors import SweepError
from sweep.study import attributes
from sweep_model.linear import LinearClassifier


def refusal(members):
    with pytest.raises(RefusedError) as refused:
        read_contents(members)
    return str(refused.value)


@pytest.fixture
def with_study(members):
    """Return a function that changes the plain values of study.json."""

    def change(**values):
        study = json.loads(members[container.STUDY])
        return members | {container.STUDY: json.dumps(study | values).encode()}

    return change


def test_what_goes_into_members_comes_out_of_them(contents, members):
    again = read_contents(members)
    assert again.settings == contents.settings
    assert again.known == contents.known
    assert again.model.digest == contents.model.digest
    assert [differences(*pair) for pair in zip(contents.trials, again.trials, strict=True)] == [
        []
    ] * 7
    assert again.members() == members


def test_the_chosen_trial_is_the_confirmed_one_else_the_best(contents):
    assert contents.chosen.number == 0
    assert replace(contents, known={}).chosen.number == 2


def test_every_attribute_of_a_study_is_carried_or_left_behind_knowingly():
    of_studies = {
        *(attributes.SETTINGS, attributes.TEST_OPENINGS, attributes.COMPARISONS),
        *(attributes.CONFIRMATION, attributes.CONFIRMING),
    }
    assert {attributes.SETTINGS, *CARRIED, *LEFT} == of_studies


def test_a_study_without_a_complete_trial_has_no_model(contents):
    empty = Contents(settings=contents.settings, trials=[], known={}, model=None)
    members = empty.members()
    assert container.MODEL not in members
    again = read_contents(members)
    assert (again.trials, again.model, again.chosen) == ([], None, None)
    assert b"No trial is complete yet." in members[container.README]


def test_a_model_that_nobody_ended_with_is_refused(contents, members):
    empty = Contents(settings=contents.settings, trials=[], known={}, model=None).members()
    assert refusal(empty | {container.MODEL: members[container.MODEL]}) == (
        "no trial is complete, so there is no chosen one and no model"
    )


@pytest.mark.parametrize("number", [2, None, "0", True, 0.0])
def test_another_chosen_trial_than_the_studys_own_is_refused(with_study, number):
    assert refusal(with_study(chosen_trial=number)) == (
        "the chosen trial is 0 by the study's own rules"
    )


def test_the_same_position_twice_is_refused(members):
    trials = json.loads(members[container.TRIALS])
    trials[2]["position"], trials[2]["seat"]["first_pass"] = 1, 1
    changed = members | {container.TRIALS: json.dumps(trials).encode()}
    assert refusal(changed) == "position 1 has ended by itself twice"


def bytes_of(model, path):
    model.save(path)
    return path.read_bytes()


def test_anothers_weights_are_refused(members, model, tmp_path):
    other = replace(model, bias=model.bias + 1)
    changed = members | {container.MODEL: bytes_of(other, tmp_path / "model.npz")}
    assert refusal(changed) == "model.npz is not the model that trial 0 ended with"


def test_a_model_of_another_loss_is_refused(members, model, tmp_path):
    from sweep_model.losses import LOSSES

    other = replace(model, loss=LOSSES["bce"])
    changed = members | {container.MODEL: bytes_of(other, tmp_path / "model.npz")}
    assert refusal(changed) == "model.npz has another loss than the study"


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "a" * 81])
def test_a_class_name_that_does_not_fit_a_line_is_refused(members, model, tmp_path, name):
    other = replace(model, class_names=("ant", "bee", name))
    changed = members | {container.MODEL: bytes_of(other, tmp_path / "model.npz")}
    assert refusal(changed).startswith("a class name in model.npz must be up to 80 printable")


def test_a_model_that_is_no_file_of_arrays_is_refused_in_one_line(members):
    said = refusal(members | {container.MODEL: b"\x80\x04cos\nsystem\n"})
    assert said.startswith("model.npz cannot be read: ")
    assert "\n" not in said


def test_a_missing_model_is_refused(members):
    del members[container.MODEL]
    assert refusal(members) == "it lacks model.npz, the model of the chosen trial"


def test_the_model_reads_back_without_sweep(members, contents, tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(members[container.MODEL])
    assert LinearClassifier.load(path).class_names == contents.model.class_names


def table(members, name):
    return list(csv.DictReader(io.StringIO(members[name].decode())))


def test_the_trials_table_has_a_row_per_trial_and_every_float_reads_back(contents, members):
    rows = table(members, container.TRIALS_TABLE)
    assert [row["ending"] for row in rows] == [
        *("complete", "pruned", "complete", "diverged"),
        *["interrupted"] * 3,
    ]
    last = contents.trials[2]
    curves = last.user_attrs[attributes.CURVES]
    assert float(rows[2]["objective"]) == last.value
    assert float(rows[2]["train/cost"]) == curves["train/cost"][-1]
    assert {name: float(rows[2][name]) for name in last.params} == last.params
    assert (rows[2]["epochs"], rows[2]["seed"], rows[2]["slot"]) == ("6", "4294967295", "0")
    assert (rows[6]["l2"], rows[6]["val/loss"], rows[6]["reason"]) == ("", "", "it was interrupted")


def test_the_curves_table_has_a_row_per_trial_and_epoch(contents, members):
    rows = table(members, container.CURVES_TABLE)
    assert [row["trial"] for row in rows] == ["0"] * 6 + ["1"] * 3 + ["2"] * 6 + ["4"] * 2
    for trial in contents.trials:
        mine = [row for row in rows if row["trial"] == str(trial.number)]
        assert [int(row["epoch"]) for row in mine] == list(range(1, len(mine) + 1))
        for metric, curve in trial.user_attrs.get(attributes.CURVES, {}).items():
            assert [float(row[metric]) for row in mine] == curve


def test_pandas_reads_the_tables_as_the_readme_says(members):
    import pandas as pd

    assert b'pivot(index="epoch", columns="trial", values="val/accuracy")' in members["README.txt"]
    curves = pd.read_csv(io.BytesIO(members[container.CURVES_TABLE]))
    wide = curves.pivot(index="epoch", columns="trial", values="val/accuracy")  # noqa: PD010 - every pair is there once
    assert wide[2].tolist() == pytest.approx([0.3, 0.31, 0.32, 0.33, 0.34, 0.35])


def test_the_readme_names_every_file_and_what_was_found(members):
    said = members[container.README].decode()
    assert all(name in said for name in [*members, container.MANIFEST] if name != "README.txt")
    assert "tiny-softmax: a search" in said
    assert "Trials: 2 complete, 1 pruned, 1 failed, 3 interrupted.\nChosen: trial 0.\n" in said
    assert max(map(len, said.splitlines())) <= 100


def test_the_files_are_lines_that_a_person_can_compare(members):
    assert len(members[container.TRIALS].splitlines()) == 7 + 2
    assert b'\n    "learning_rate": {\n' in members[container.STUDY].replace(b"      ", b"    ")


def test_a_full_disk_is_said_in_one_line(contents, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LinearClassifier, "save", full)
    with pytest.raises(SweepError, match=r"a temporary file cannot be written: No space left"):
        contents.members()
