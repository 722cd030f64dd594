import pytest
from jinja2 import UndefinedError
from markupsafe import Markup, escape

from sweep.report.rendering import environment, one_line


@pytest.fixture
def templates():
    return environment(escape)


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
    shouting = environment(lambda text: Markup(text.upper()))  # noqa: S704 - the point of the test
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
