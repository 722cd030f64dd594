import tracemalloc

import pytest

from sweep.errors import SweepError
from sweep.space import DEFAULT_SPACES, Choices, Range, axis_from_text, read_space

NUMBER = "must be a number, e.g."
HINT = "e.g. l2=1e-4:1e-1:log"
KNOWN = "a space has l2, learning_rate, decay_period, batch_size, flip_probability"
FORM = "a range is LOW:HIGH or LOW:HIGH:log"

BAD_TEXTS = [
    ("", f"an override is NAME=VALUES: got ''; {HINT}"),
    ("l2", f"an override is NAME=VALUES: got 'l2'; {HINT}"),
    ("l2=", f"an override is NAME=VALUES: got 'l2='; {HINT}"),
    ("=0.1", f"unknown hyperparameter '': {KNOWN}"),
    ("lr=0.1", f"unknown hyperparameter 'lr': {KNOWN}"),
    ("L2=0.1", f"unknown hyperparameter 'L2': {KNOWN}"),
    ("l2=big", f"l2 {NUMBER} 0.1: got 'big'"),
    ("batch_size=big", f"batch_size {NUMBER} 10: got 'big'"),
    ("l2=0.1,,0.2", f"l2 {NUMBER} 0.1: got ''"),
    ("l2=0.1=0.2", f"l2 {NUMBER} 0.1: got '0.1=0.2'"),
    ("l2=true", f"l2 {NUMBER} 0.1: got 'true'"),
    ("l2=nan", "l2 must lie in [0, 1e+06]: got nan"),
    ("l2=-inf:1", "the low end of l2 must lie in [0, 1e+06]: got -inf"),
    ("l2=1" + "0" * 5000, "l2 must lie in [0, 1e+06]: got inf"),
    ("l2=1" + "0" * 400, f"l2 must lie in [0, 1e+06]: got 1{'0' * 56}..."),
    ("l2=" + "x" * 9000, f"l2 {NUMBER} 0.1: got '{'x' * 56}..."),
    (
        "l2=1:0.1",
        (
            "l2: the low end of a range must be below its high end: got 1.0:0.1; "
            "for a single value write l2=1.0"
        ),
    ),
    ("l2=0:1:log", "l2: a logarithmic range must start above 0: got 0.0"),
    (
        "l2=0,01",
        "l2: a number does not begin with 0: got '01'; write a decimal point, e.g. 0.01",
    ),
    ("l2=1:2:", f"l2: {FORM}: got '1:2:'"),
    ("l2=1:2:ln", f"l2: {FORM}: got '1:2:ln'"),
    ("l2=1:2:log:3", f"l2: {FORM}: got '1:2:log:3'"),
    ("l2=1::", f"l2: {FORM}: got '1::'"),
    ("l2=:1", f"l2 {NUMBER} 0.1: got ''"),
    ("l2=1,2:3", f"l2 {NUMBER} 0.1: got '1,2'"),
    ("batch_size=25.5", "batch_size must be a whole number: got 25.5"),
    ("batch_size=25,25", "batch_size: choices must differ: got 25 twice"),
]

BAD_FILES = [
    ("lr = 0.1", f"unknown hyperparameter 'lr': {KNOWN}"),
    ("[space]\nl2 = 0.1", f"unknown hyperparameter 'space': {KNOWN}"),
    ("l2 = 'text'", f"l2 {NUMBER} 0.1: got 'text'"),
    ("l2 = ['0.1', '0.2']", f"l2 {NUMBER} 0.1: got '0.1'"),
    ("l2 = [[0.1]]", f"l2 {NUMBER} 0.1: got [0.1]"),
    ("l2 = []", "l2 must have 1 to 100 choices: got 0"),
    ("l2 = true", f"l2 {NUMBER} 0.1: got True"),
    ("l2 = nan", "l2 must lie in [0, 1e+06]: got nan"),
    ("l2 = inf", "l2 must lie in [0, 1e+06]: got inf"),
    ("l2 = 2020-01-01", f"l2 {NUMBER} 0.1: got datetime.date(2020, 1, 1)"),
    (
        "l2 = {low = 0.1}",
        "l2: a range has low, high and perhaps log: got ['low']; write l2 = {low = 1, high = 10}",
    ),
    (
        "[l2]\nlow = 1\nhigh = 2\nstep = 3",
        (
            "l2: a range has low, high and perhaps log: got ['high', 'low', 'step']; "
            "write l2 = {low = 1, high = 10}"
        ),
    ),
    ("l2 = {low = 1, high = 2, log = 1}", "l2: log must be true or false: got 1"),
    ("l2 = {low = {a = 1}, high = 2}", f"the low end of l2 {NUMBER} 0.1: got {{'a': 1}}"),
    ("l2 = 1" + "0" * 400, f"l2 must lie in [0, 1e+06]: got 1{'0' * 56}..."),
    (
        "l2 = 0x" + "f" * 9000,
        "l2 must lie in [0, 1e+06]: got an integer of thousands of digits",
    ),
]

# What the parser says is its own; the line begins with ours.
NOT_TOML = [
    b"l2 = 0.1\nl2 = 0.2",
    b"l2 = ",
    b"l2 = \xff\xfe",
    b"\xff\xfel\x002\x00",
    b"l2 = " + b"[" * 5000,
    b"l2 = 1" + b"0" * 5000,
    b"\x00\x01\x02",
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS, ids=[text[:20] for text, _ in BAD_TEXTS])
def test_a_bad_override_is_refused_with_the_rule_and_the_value(text, message):
    with pytest.raises(SweepError) as refused:
        axis_from_text(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(("text", "message"), BAD_FILES, ids=[text[:20] for text, _ in BAD_FILES])
def test_a_bad_space_file_is_refused_with_its_name_the_rule_and_the_value(tmp_path, text, message):
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(SweepError) as refused:
        read_space("softmax", file)
    assert str(refused.value) == f"{file}: {message}"


@pytest.mark.parametrize("content", NOT_TOML, ids=[repr(content[:10]) for content in NOT_TOML])
def test_what_is_not_toml_is_said_to_be_so_in_one_line(tmp_path, content):
    file = tmp_path / "space.toml"
    file.write_bytes(content)
    with pytest.raises(SweepError) as refused:
        read_space("softmax", file)
    message = str(refused.value)
    assert message.startswith(f"{file}: not a TOML file: ")
    assert "\n" not in message
    assert len(message) < 400


def test_a_missing_space_file_is_named(tmp_path):
    with pytest.raises(SweepError) as refused:
        read_space("softmax", tmp_path / "none.toml")
    assert str(refused.value) == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_a_folder_is_not_a_space_file(tmp_path):
    with pytest.raises(SweepError) as refused:
        read_space("softmax", tmp_path)
    assert str(refused.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_space_file_has_at_most_64_kib(tmp_path):
    file = tmp_path / "space.toml"
    file.write_bytes(b"l2 = 0.5 # " + b"x" * (64 * 1024 - 11))
    assert read_space("softmax", file).axes["l2"] == Choices(name="l2", values=(0.5,))
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(SweepError) as refused:
        read_space("softmax", file)
    assert str(refused.value) == f"{file}: a space file has at most 64 KiB, and this one has more"


def test_of_a_huge_file_only_the_allowed_length_is_read(tmp_path):
    huge = tmp_path / "space.toml"
    with huge.open("wb") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    with pytest.raises(SweepError, match="at most 64 KiB"):
        read_space("softmax", huge)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("l2=1e-4:1e-1:log", Range(name="l2", low=1e-4, high=1e-1, log=True)),
        ("flip_probability=0:0.5", Range(name="flip_probability", low=0.0, high=0.5)),
        ("l2=1:2:linear", Range(name="l2", low=1, high=2)),
        ("batch_size=25,50,100", Choices(name="batch_size", values=(25, 50, 100))),
        ("batch_size=1e2", Choices(name="batch_size", values=(100,))),
        (" l2 = 0.1 : 1 : log ", Range(name="l2", low=0.1, high=1, log=True)),
        ("decay_period=10", Choices(name="decay_period", values=(10,))),
    ],
)
def test_an_override_is_a_range_choices_or_a_value(text, axis):
    assert axis_from_text(text) == axis


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        (
            "l2 = {low = 1e-4, high = 0.1, log = true}",
            Range(name="l2", low=1e-4, high=0.1, log=True),
        ),
        ("[l2]\nlow = 0\nhigh = 1", Range(name="l2", low=0, high=1)),
        ("\ufeffl2 = [0.1, 0.2]", Choices(name="l2", values=(0.1, 0.2))),
        ("l2 = 1", Choices(name="l2", values=(1.0,))),
    ],
)
def test_a_space_file_sets_the_axes_that_it_names(tmp_path, text, axis):
    file = tmp_path / "space.toml"
    file.write_text(text, encoding="utf-8")
    assert read_space("softmax", file) == DEFAULT_SPACES["softmax"].replace({"l2": axis})


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_nothing_said_is_the_default_of_the_loss(loss):
    assert read_space(loss) == DEFAULT_SPACES[loss]


def test_overrides_beat_the_file_and_the_file_beats_the_default(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text("l2 = 0.1\ndecay_period = 5")
    space = read_space("softmax", file, ["l2=0.2", "batch_size=10", "batch_size=20"])
    assert {name: str(axis) for name, axis in space.axes.items()} == {
        "l2": "0.2",
        "learning_rate": "0.0001:0.1:log",
        "decay_period": "5",
        "batch_size": "20",
        "flip_probability": "0:0.5",
    }


def test_a_printed_range_is_read_back_as_the_same(tmp_path):
    file = tmp_path / "space.toml"
    for space in DEFAULT_SPACES.values():
        overrides = [f"{name}={axis}" for name, axis in space.axes.items()]
        file.write_text("l2 = 1")
        assert read_space("softmax", file, overrides) == space
