"""Commands are pasted: what is printed comes back through a shell and through Hydra's own parser."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lmexp import cli
from lmexp.core.graph.compose import compose
from lmexp.core.graph.loading import load_file
from lmexp.core.values.spelling import command, meant, override, unquoted
from lmexp.errors import ConfigError

SOURCE = Path(__file__).resolve().parents[3] / "src" / "lmexp"
PARSER = OverridesParser.create()
HARD = "\\'\"${}[](),=~#!?*:;&|<>@%^é日\N{GRINNING FACE} \n\tab1."

texts = st.one_of(
    st.text(max_size=20),
    st.text(alphabet=HARD, max_size=12),
    st.lists(st.sampled_from(["\\", "${", "}", "'", '"', "a", ",", " "]), max_size=8).map("".join),
    st.sampled_from(
        ["null", "True", "1_000", "nan", "-1", ".5", "0x1", "${a}", "\\${a}", "it's", "\\n", "~/x"]
    ),
    st.text(alphabet=HARD, min_size=1, max_size=6).map(lambda name: f"/data/{name}/*.txt"),
).filter(lambda text: "\0" not in text and text != "???")
words = st.from_regex(r"[a-z_][a-z0-9_]{0,7}", fullmatch=True).filter(
    lambda word: word not in ("null", "true", "false", "nan", "inf")
)
keys = st.lists(words, min_size=1, max_size=3).map(".".join)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)


def read(word: str) -> tuple[str, object]:
    """Return the key and the value that Hydra and OmegaConf make of an override."""
    parsed = PARSER.parse_override(word)
    held = OmegaConf.create({"value": parsed.value()})
    return parsed.key_or_group, OmegaConf.to_container(held, resolve=True)["value"]


def pasted(pairs: list[tuple[str, object]]) -> None:
    """Check that a command of these overrides reads back as the same keys and values."""
    spelled = [override(key, value) for key, value in pairs]
    if not any(command([word]).startswith("$'") for word in spelled):  # a form of the shell's alone
        assert shlex.split(command(spelled)) == spelled
    for word, (key, value) in zip(spelled, pairs, strict=True):
        found = read(word)
        assert (found, repr(found[1])) == ((key, value), repr(value)), word
        if isinstance(value, str):
            assert unquoted(word.partition("=")[2]) == value, word


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(keys, values), min_size=1, max_size=3))
def test_a_pasted_command_reads_back_as_what_was_meant(pairs):
    pasted(pairs)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.lists(st.tuples(keys, values), min_size=1, max_size=3))
def test_ten_thousand_pasted_commands_read_back_as_what_was_meant(pairs):
    pasted(pairs)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "${a}",
        "\\${a}",
        "\\\\${a}\\",
        "${a}\\\\",
        "$${",
        "a\\",
        "\\'",
        "\\\\'",
        "'",
        "'a'",
        '"a"',
        "None",
        "NaN",
        "TRUE",
        "~",
    ],
)
def test_a_text_that_looks_like_grammar_reads_back_alone_in_a_list_and_in_a_mapping(text):
    pasted([("a", text), ("b.c", [text, text]), ("d", {"e": text})])


def test_a_real_shell_reads_the_words_back_control_characters_and_broken_bytes_included():
    cases = [
        "",
        "a b",
        "it's",
        "it's $HOME",
        'say "it\'s"',
        "!x",
        "~/x",
        "`id`",
        "$(id)",
        "#x",
        "a\\'b",
        "*",
        "é",
    ]
    cases += [
        "a\nb",
        "a\tb",
        "\x1b[31mred",
        "\x1b'\\n",
        "\udcff.txt",
        "\x9b2J",
        "\u202egpj.exe",
        "=x",
        "a;b",
        "&",
    ]
    line = command(["printf", "%s\\0", *cases])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", line)
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=environment, check=True)
    assert done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1] == cases


@pytest.fixture
def cards(tmp_path):
    """A pipeline of one key of each type, behind a configuration named `cards`."""
    (tmp_path / "cards.py").write_text(
        "from lmexp.core.values.config import option\n"
        "from lmexp.core.values.settings import RunConfig\n"
        "class Cards(RunConfig):\n"
        "    title: str | None = option(None)\n"
        "    lines: tuple[str, ...] = option(())\n"
        "SEEN = []\n"
        "def pipeline(config: Cards):\n"
        "    SEEN.append(config)\n"
        "    return {}\n"
    )
    text = f"defaults: [engine, _self_]\npipeline: {tmp_path / 'cards.py'}\ntitle: null\nlines: []\n"
    (tmp_path / "cards.yaml").write_text(text)
    return tmp_path


def test_twenty_pasted_commands_compose_to_what_was_meant_and_plan(cards, capsys):
    names = [
        "a b",
        "it's",
        "x=y",
        "é",
        "[1]",
        "{a}",
        "~",
        "a,b",
        "${x}",
        "\\",
        "'",
        '"',
        "#",
        "null",
        "1e3",
        " ",
        "日本",
    ]
    names += ["a\nb", "\\n", "$HOME"]
    assert len(names) == 20
    for name in names:
        store = cards / f"store of {name.strip()}x"
        given = [
            override("title", name),
            override("lines", [name, f"/x/{name}"]),
            override("store", str(store)),
        ]
        flags = ["--config-dir", str(cards), "--config-name", "cards"]
        read_back = shlex.split(command(["lmexp", "plan", *flags, *given]))[1:]
        assert cli.main(read_back) == 0
        config = load_file(cards / "cards.py").SEEN[-1]
        assert (config.title, config.lines, config.store) == (name, (name, f"/x/{name}"), str(store))
        assert str(store / "runs") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "spelled"),
    [
        ("samples.prompts=[it's]", r"samples.prompts=['it\'s']"),
        ("samples.prompts=[it's, a b,'c, d',3]", r"samples.prompts=['it\'s','a b','c, d',3]"),
        ("corpus.files=[~/x.txt]", "corpus.files=['~/x.txt']"),
        ("store=/a=b/é", "store='/a=b/é'"),
        ("++x.y=don't", r"++x.y='don\'t'"),
        ("x=[", None),
        ("x={a b:1", None),
        ("+++x=1", None),
        ("no equals", None),
    ],
)
def test_what_cannot_be_read_is_spelled_as_it_was_meant(word, spelled):
    assert meant(word) == spelled
    if spelled is not None:
        PARSER.parse_override(spelled)


def test_words_of_the_grammar_are_meant_as_such_in_a_list_of_texts():
    assert meant("a=[true,False,null,3,x y]") == override("a", [True, False, None, 3, "x y"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("a b", 1), ("é", 1), ("a", "???"), ("a", {"b c": 1}), ("a", {"null": 1}), ("a", object())],
)
def test_what_has_no_spelling_is_refused(key, value):
    with pytest.raises(ConfigError):
        override(key, value)


def test_the_advice_for_an_unreadable_override_can_be_pasted():
    for word, key, value in [
        ("samples.prompts=[it's]", "prompts", ("it's",)),
        ("samples.prompts=[what? (she said), 50%=]", "prompts", ("what? (she said)", "50%=")),
    ]:
        with pytest.raises(ConfigError) as error:
            compose(["+experiment=tiny", word])
        advice = str(error.value).removesuffix(".").partition("some around them: ")[2]
        (again,) = shlex.split(advice)
        assert getattr(compose(["+experiment=tiny", again]).config.samples, key) == value


def _by_hand(tree: ast.AST) -> list[str]:
    """Return the texts of a module, docstrings aside, that look like a command with its words filled in."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = []
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, documented | ast.If):
            docstrings |= {id(n.value) for n in node.body if isinstance(n, ast.Expr)}
    pattern = r"python3? -m lmexp|pip3? install|lmexp (run|{})\b".format("|".join(cli.VERBS))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            found += re.findall(rf"(?:{pattern}) \S*\{{\}}.*", text) and [text]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found += re.findall(r"pip3? install '?lmexp|shlex", node.value) and [node.value]
    return found


def test_no_other_place_builds_a_command_by_hand():
    for path in SOURCE.rglob("*.py"):
        if path.name == "spelling.py":
            continue
        text = path.read_text(encoding="utf-8")
        assert "import shlex" not in text, path
        assert _by_hand(ast.parse(text)) == [], path
    assert _by_hand(ast.parse('x = f"lmexp sync {store}"')), "what it looks for is found"
