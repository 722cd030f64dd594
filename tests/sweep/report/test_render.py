import pytest
from jinja2 import UndefinedError
from markupsafe import Markup, escape

from sweep.errors import SweepError
from sweep.outputs import check_replaceable
from sweep.report import MARK, render_html, render_markdown, write
from sweep.report.render import Rendered, _environment, one_line


@pytest.fixture
def templates():
    return _environment(escape)


def test_every_value_is_escaped_once(templates):
    shown = templates.from_string(
        "{{ value }} {{ value ~ '>' }} {% set x %}{{ value }}{% endset %}{{ x }}"
    )
    assert shown.render(value="<b>") == "&lt;b&gt; &lt;b&gt;&gt; &lt;b&gt;"


def test_the_result_of_a_macro_is_not_escaped_again(templates):
    source = "{% macro bold(x) %}<b>{{ x }}</b>{% endmacro %}{{ bold(value) }}"
    assert templates.from_string(source).render(value="<") == "<b>&lt;</b>"


def test_another_escape_takes_its_place(templates):
    del templates
    shouting = _environment(lambda text: Markup(text.upper()))  # noqa: S704 - the point of the test
    assert shouting.from_string("a {{ value }}").render(value="b<") == "a B<"


def test_a_value_that_nobody_gave_is_an_error(templates):
    with pytest.raises(UndefinedError, match="nothing"):
        templates.from_string("{{ nothing }}").render()


def test_a_value_is_no_template(templates):
    assert templates.from_string("{{ value }}").render(value="{{ 7 * 7 }}") == "{{ 7 * 7 }}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x00", "[31mred"),
        ("left\u202eright\u200b", "leftright"),
        ("l\u00a0n \U0001f600", "l n \U0001f600"),
    ],
)
def test_text_is_one_line_that_shows_all_of_itself(text, shown):
    assert one_line(text) == shown


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.html"


def test_the_text_and_its_pictures_are_written(path):
    files = write(Rendered("text", {"figures/a.png": b"a"}), path)
    assert files == [path.parent / "figures" / "a.png", path]
    assert [file.read_bytes() for file in files] == [b"a", b"text"]


def test_nothing_is_left_beside_it(path):
    write(Rendered("text", {}), path)
    assert list(path.parent.iterdir()) == [path]


def test_what_stood_there_stays_until_the_new_one_is_whole(path, monkeypatch):
    write(Rendered("old", {}), path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.outputs.os.fsync", full)
    with pytest.raises(SweepError, match=r"cannot be written: No space left on device; name"):
        write(Rendered("new", {}), path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "a" / "b" / "report.html"
    with pytest.raises(SweepError, match=r"b/report.html: cannot be written: No such file"):
        write(Rendered("text", {}), path)


def test_pictures_that_no_report_of_this_name_drew_are_left_alone(path):
    (path.parent / "figures").mkdir()
    (path.parent / "figures" / "a.png").write_bytes(b"mine")
    with pytest.raises(SweepError, match=r"figures/a.png: is there already, and"):
        write(Rendered("text", {"figures/a.png": b"a"}), path)
    assert (path.parent / "figures" / "a.png").read_bytes() == b"mine"
    assert not path.exists()


@pytest.mark.parametrize("kind", ["html", "md"])
def test_an_earlier_report_may_be_replaced(path, study, make_report, kind):
    report = make_report(study)
    rendered = render_html(report) if kind == "html" else render_markdown(report, folder="figures")
    for _ in range(2):
        check_replaceable(path, mark=MARK.encode(), kind="report")
        write(rendered, path)
