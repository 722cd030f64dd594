import json

import pytest


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def test_the_space_of_a_loss_is_shown_with_the_setting_of_trial_0(invoke):
    said = invoke("space", "--loss", "bce", "--set", "l2=0.5", "--set", "batch_size=50,100")
    assert (said.exit_code, said.stderr) == (0, "")
    assert lines(said.stdout) == [
        "bce search space",
        "hyperparameter   values      trial 0",
        "────────────────────────────────────",
        "l2               0.5             0.5",
        "learning_rate    0.001:1:log     0.1",
        "decay_period     2:50:log         10",
        "batch_size       50,100           50",
        "flip_probability 0:0.5           0.2",
    ]


def test_a_file_gives_ranges_and_an_override_beats_it(invoke, tmp_path):
    path = tmp_path / "ranges.toml"
    path.write_text("l2 = {low = 1e-3, high = 0.1, log = true}\ndecay_period = [10, 20]\n")
    shown = json.loads(invoke("space", "--space", path, "--set", "decay_period=5", "--json").stdout)
    assert list(shown) == ["loss", "space", "trial_0"]
    assert shown["loss"] == "softmax"
    assert shown["space"]["l2"] == {"low": 1e-3, "high": 0.1, "log": True}
    assert shown["space"]["decay_period"] == 5
    assert shown["trial_0"]["decay_period"] == 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("l2 = {low = 1", "not a TOML file: "),
        ("lr = 0.1", "'lr'"),
        ("l2 = {low = 1.0, high = 0.1}", "l2"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong_in_one_line(invoke, tmp_path, text, complaint):
    path = tmp_path / "ranges.toml"
    path.write_text(text)
    said = invoke("space", "--space", path)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith(f"sweep: error: {path}: ")
    assert complaint in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_missing_file_is_named(invoke, tmp_path):
    said = invoke("space", "--space", tmp_path / "none.toml")
    assert said.exit_code == 1
    assert said.stderr == (
        f"sweep: error: {tmp_path / 'none.toml'}: cannot be read: No such file or directory\n"
    )
