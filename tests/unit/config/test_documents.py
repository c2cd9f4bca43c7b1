"""Settings files become values with lines, or one reason with its line."""

import math

import pytest

from service.config.documents import Document, DocumentError, parse


def yaml(text: str) -> Document:
    return parse(text.encode(), suffix=".yaml")


def refused(text: str, *, suffix: str = ".yaml") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(text.encode(), suffix=suffix)
    return caught.value


def test_each_key_and_item_has_its_line():
    """Lines are those of the keys and list items, from 1."""
    document = yaml(
        "server:\n  name: x\n  ports:\n    - 1\n    - 2\nlog: {level: info}"
    )

    assert document.lines == {
        ("server",): 1,
        ("server", "name"): 2,
        ("server", "ports"): 3,
        ("server", "ports", 0): 4,
        ("server", "ports", 1): 5,
        ("log",): 6,
        ("log", "level"): 6,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("no", "no", id="no is a word"),
        pytest.param("on", "on", id="on is a word"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="false"),
        pytest.param("", None, id="nothing"),
        pytest.param("~", None, id="null"),
        pytest.param("010", 10, id="leading zero is decimal"),
        pytest.param("0o10", 8, id="octal"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("-3", -3, id="negative"),
        pytest.param("1_000", "1_000", id="underscore is no digit"),
        pytest.param("1:30", "1:30", id="no base sixty"),
        pytest.param("2026-11-21", "2026-11-21", id="no dates"),
        pytest.param("1e+06", 1e6, id="exponent without a dot"),
        pytest.param("1.048576e+06", 1048576.0, id="exponent with a dot"),
        pytest.param(".5", 0.5, id="no leading digit"),
        pytest.param("-.inf", -math.inf, id="infinity"),
        pytest.param('"5"', "5", id="quoted is text"),
        pytest.param("'null'", "null", id="quoted null is text"),
    ],
)
def test_scalar_has_the_type_of_the_core_schema(text, value):
    """Plain scalars follow YAML 1.2, quoted ones are text."""
    read = yaml(f"key: {text}").values["key"]

    assert (type(read), read) == (type(value), value)


def test_not_a_number_is_a_float():
    """`.nan` is read as such, for the settings to refuse."""
    assert math.isnan(yaml("key: .nan").values["key"])


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null"])
def test_empty_file_has_no_values(text):
    """A file without content sets nothing."""
    assert yaml(text).values == {}


def test_byte_order_mark_is_no_content():
    """What Windows editors put first is passed over."""
    assert parse(b"\xef\xbb\xbfa: 1", suffix=".yml").values == {"a": 1}


def test_key_that_stands_twice_is_told_with_its_later_line():
    """A repeated key keeps its first value and is reported, at any depth."""
    document = yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 2")

    assert document.values == {"a": 1, "b": {"c": 1}}
    assert document.repeated == [(("b", "c"), 4), (("a",), 5)]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        pytest.param("a: 1\nb: [1", 2, "flow sequence", id="not closed"),
        pytest.param("a: b: c", 1, "mapping values", id="two colons"),
        pytest.param("a: 1\n\tb: 1", 2, "cannot start any token", id="tab"),
        pytest.param("a: &x 1", 1, "anchors and aliases", id="anchor"),
        pytest.param("a: 1\nb: *x", 2, "anchors and aliases", id="alias"),
        pytest.param("{a: &a [*a]}", 1, "anchors and aliases", id="self reference"),
        pytest.param("a: !!python/name:os.system x", 1, "tags", id="python tag"),
        pytest.param("a: ! x", 1, "tags", id="bare tag"),
        pytest.param("- 1", 1, "mapping at the top", id="list"),
        pytest.param("just text", 1, "mapping at the top", id="text"),
        pytest.param("a: 1\n---\nb: 1", 2, "another document", id="two documents"),
        pytest.param("? {a: 1}\n: 1", 1, "key must be text", id="mapping as key"),
        pytest.param("a: 1\nb: \0", 2, "control character", id="NUL"),
        pytest.param("a: " + "[" * 5000, 1, "too deeply", id="deep"),
        pytest.param("a: " + "1" * 5000, 1, "too many digits", id="long number"),
    ],
)
def test_yaml_that_is_not_wanted_is_refused_with_its_line(text, line, reason):
    """Bad YAML, and YAML too clever for a settings file, has a line and a reason."""
    error = refused(text)

    assert reason in error.reason
    assert error.line == line


@pytest.mark.parametrize(
    "text",
    ["key: !hunter2", "key: !hunter2!x y", "key: *hunter2", "key: &hunter2 x"],
)
def test_text_that_lacks_its_quotes_is_not_told(text):
    """A secret that happens to be YAML syntax stays out of the reason."""
    assert "hunter2" not in refused(text).reason


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        pytest.param("a = 1\nb = oops", 2, "Invalid value", id="bare word"),
        pytest.param("a = 1\na = 2\n", 2, "Cannot overwrite", id="twice"),
        pytest.param("a = " + "[" * 5000, None, "too deeply", id="deep"),
        pytest.param("a = " + "1" * 5000, None, "can't be read", id="long number"),
    ],
)
def test_bad_toml_is_refused(text, line, reason):
    """Bad TOML has a reason, and a line where the reader gives one."""
    error = refused(text, suffix=".toml")

    assert reason in error.reason
    assert error.line == line


def test_toml_is_read():
    """TOML gives values without lines."""
    document = parse(b"[server]\nports = [1]", suffix=".toml")

    assert document == Document(values={"server": {"ports": [1]}})


def test_other_suffix_is_refused():
    """What a file is, its suffix tells."""
    assert ".yaml" in refused("{}", suffix=".json").reason


@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_file_that_is_not_utf8_is_refused_with_its_line(suffix):
    """Bytes of another encoding are told by their line."""
    with pytest.raises(DocumentError) as caught:
        parse(b"# a\n# \xff\n", suffix=suffix)

    assert (caught.value.reason, caught.value.line) == ("is not UTF-8", 2)
