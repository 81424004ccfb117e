import base64
import json
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmexp.core.values.redact import is_secret_key, redact, redact_values, redact_words, refuse_secrets
from lmexp.errors import ConfigError


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("api_key", True),
        ("tracking.api-key", True),
        ("hub.token", True),
        ("hf_token", True),
        ("db.password", True),
        ("aws_secret_access_key", True),
        ("tokenizer", False),
        ("train_tokens", False),
        ("eos_token", False),
        ("eos_token_id", False),
        ("max_new_tokens", False),
        ("key", False),
        ("monkey", False),
    ],
)
def test_a_key_is_secret_by_its_last_part(key, secret):
    assert is_secret_key(key) is secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/x", "https://***@host/x"),
        (
            "get https://h/x?a=1&access_token=abc&b=2 failed",
            "get https://h/x?a=1&access_token=***&b=2 failed",
        ),
        ("Authorization: Bearer abcdef123456", "Authorization: ***"),
        ("sent Bearer abcdef123456", "sent Bearer ***"),
        ("hf_" + "a" * 34, "***"),
        ("sk-proj-" + "aB3" * 12, "***"),
        ("/data/sk-learn-corpus-of-documentation", "/data/sk-learn-corpus-of-documentation"),
        ("a file at me@host: no secret", "a file at me@host: no secret"),
        ("commit " + "a" * 40, "commit " + "a" * 40),
        ("sum of key=3", "sum of key=3"),
    ],
)
def test_credentials_are_hidden_by_their_shape(text, shown):
    assert redact(text) == shown


def test_words_of_a_command_keep_their_keys():
    words = ["-m", "+my.api_key=abc", "seed=1,2", "corpus.url=https://a:b@c/", "hub.token="]
    assert redact_words(words) == [
        "-m",
        "+my.api_key=***",
        "seed=1,2",
        "corpus.url=https://***@c/",
        "hub.token=",
    ]


def test_nested_values_are_hidden_where_they_are():
    values = {
        "hub": {"token": "abc", "name": "x"},
        "passwords": ["a"],
        "password": ["a", "b"],
        "api_key": None,
    }
    assert redact_values(values) == {
        "hub": {"token": "***", "name": "x"},
        "passwords": ["a"],
        "password": ["***", "***"],
        "api_key": None,
    }


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"judge": {"api_key": "abc"}}, "judge.api_key"),
        ({"hub": {"auth_token": "abc"}}, "hub.auth_token"),
        ({"files": ["a", "ftp://me:pw@host/x"]}, "files"),
        ({"note": "hf_" + "a" * 34}, "note"),
        ({"url": "user:pw/x@host"}, "url"),
        ({"url": "https://user:pw/x@host"}, "url"),
        ({"url": "https://host/x#token=pw"}, "url"),
        ({"url": "https://host/x?X-Amz-Signature=pw"}, "url"),
        ({"url": "https://h/?to=https%3A%2F%2Fme%3Apw%40host"}, "url"),
    ],
)
def test_a_configuration_that_holds_a_secret_is_refused_by_the_name_of_its_key(values, named):
    with pytest.raises(ConfigError) as error:
        refuse_secrets(values)
    assert str(error.value).startswith(f"{named} holds a secret")
    assert "abc" not in str(error.value)
    assert "pw" not in str(error.value)


def test_words_of_the_vocabulary_and_absent_secrets_are_no_secrets():
    words = {"eos_token": "<|end|>", "start_token": "<s>", "url": "git@host:x"}
    assert refuse_secrets({**words, "api_key": None, "password": ""}) is None


HOSTS = st.sampled_from(["host", "example.org", "h.example.org:8443", "127.0.0.1:80", "[::1]:9000"])
ODD = st.text("/@:?#%&=+;,~!$*().-_aZ7é", max_size=6)
PASSWORDS = st.builds(lambda odd: f"PW{odd}QZ", ODD)
IN_ADDRESSES = [
    "https://user:{pw}@{host}/a/b",
    "get ftp://:{pw}@{host}: refused",
    "corpus.files=[https://u.s-er:{pw}@{host}/x.txt]",
    "git+ssh://user:{pw}@{host}/repo.git@v1",
    '{{"url": "https://user:{pw}@{host}/"}}',
]
QUOTED = [
    "https://{host}/x?a=1&access_token={pw}&b=2",
    "https://{host}/x#token={pw}",
    "https://{host}/x;api_key={pw}",
    "https://{host}/x?X-Amz-Signature={pw}",
    "https://{host}/x?sv=1&sig={pw}",
    "https://{host}/cb#state=1&client_secret={pw}",
    "PASSWORD={pw} python x.py",
    "db_password={pw}",
    '{{"api_key": "{pw}"}}',
]
PLAIN = [
    "user:{pw}@example.org",
    "rsync user:{pw}@example.org:/data",
    "Authorization: Basic {pw}",
    "X-Api-Key: {pw}",
    "Cookie: session={pw}",
    "sent Bearer {pw}0123456",
]
ENCODINGS = {
    "plain": lambda text: text,
    "quoted": lambda text: "https://h/?next=" + urllib.parse.quote(text, safe=""),
    "quoted twice": lambda text: (
        "see https://h/?n=" + urllib.parse.quote(urllib.parse.quote(text, safe=""), safe="")
    ),
    "slashes of JSON": lambda text: text.replace("/", "\\/"),
    "escapes of JSON": lambda text: text.replace("@", "\\u0040").replace("&", "\\u0026"),
}


@given(st.sampled_from(IN_ADDRESSES), HOSTS, PASSWORDS, st.sampled_from(sorted(ENCODINGS)))
@example(IN_ADDRESSES[0], "host", "PW/xQZ", "plain")
@example(IN_ADDRESSES[0], "host", "PW@w/x@yQZ", "quoted twice")
def test_no_password_of_an_address_is_left_whatever_it_is_made_of(shape, host, password, encoding):
    text = ENCODINGS[encoding](
        shape.format(pw=password, host=host).replace(" ", "%20" if encoding != "plain" else " ")
    )
    shown = redact(text)
    assert "PW" not in shown
    assert "QZ" not in shown
    assert redact(shown) == shown
    with pytest.raises(ConfigError, match="holds a secret"):
        refuse_secrets({"url": text})


@given(st.sampled_from(QUOTED + PLAIN), HOSTS, st.sampled_from(sorted(ENCODINGS)))
def test_no_secret_of_a_parameter_a_header_or_an_assignment_is_left(shape, host, encoding):
    text = ENCODINGS[encoding](shape.format(pw="PWaZ7-_QZ", host=host))
    shown = redact(text)
    assert "PW" not in shown
    assert "QZ" not in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "secret",
    [
        "ghs_" + "a1" * 16,
        "glpat-" + "a1" * 10,
        "AIza" + "b2" * 16,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        "Basic " + base64.b64encode(b"me:secret").decode(),
    ],
)
def test_well_known_kinds_are_hidden_anywhere(secret):
    assert secret.split()[-1] not in redact(f"it said {secret}, then ended")
    assert redact(json.dumps({"a": [secret]})).count("***") == 1


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org:8443/data@v2/x.txt",
        "http://127.0.0.1:8080/a@b",
        "http://localhost:9000/x@y.jsonl",
        "http://[::1]:9000/x@y",
        "https://example.org/a%20b/c%2Fd.txt?page=2#section",
        "git@example.org:me/repo.git",
        "experiment@_global_: tiny",
        "model=gpt +debug@_here_=fast",
        "write to me@example.org: thanks",
        "at 12:30@noon",
        "C:\\users\\me@work",
        "samples.prompts=['a: b @ c']",
        "100%@home",
        "password must be given",
        "tokenizer.vocab_size=512&max_tokens=4",
        "é@ü:ß",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text):
    assert redact(text) == text
    assert refuse_secrets({"key": text}) is None


@given(st.text())
def test_any_text_can_be_redacted_twice(text):
    assert redact(redact(text)) == redact(text)


def test_keys_and_headers_of_nested_values_are_hidden():
    values = {"headers": {"Authorization": "Basic x", "Cookie": "s=1"}, "https://me:pw@h/": 1}
    assert redact_values(values) == {
        "headers": {"Authorization": "***", "Cookie": "***"},
        "https://***@h/": 1,
    }
