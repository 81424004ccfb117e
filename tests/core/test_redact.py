import pytest

from lmexp.core.redact import is_secret_key, redact, redact_values, redact_words, refuse_secrets
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
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
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
