"""The public names of the contract exist: clients, docs and acceptance checks rely on them."""

from pathlib import Path
from typing import Final

import pytest

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import settings_table
from fingerprint.upstream_settings import DynamoDbSettings, LinkSettings, ProviderSettings, TwitchSettings
from server.cli import make_parser
from server.settings import ServerSettings

ROOT: Final = Path(__file__).parent.parent

CODES: Final = [
    "invalid-input",
    "not-found",
    "not-identified",
    "channel-not-found",
    "not-live",
    "clip-not-found",
    "video-not-found",
    "restricted-stream",
    "moment-gone",
    "ad-break",
    "no-audio",
    "login-required",
    "subscription-required",
    "token-invalid",
    "token-wrong-client",
    "key-invalid",
    "forbidden",
    "csrf",
    "blacklisted",
    "not-public",
    "code-invalid",
    "job-in-progress",
    "rate-limited",
    "maintenance",
    "inactive",
    "streams-disabled",
    "clips-disabled",
    "recognizer-unavailable",
    "upstream-unavailable",
    "timeout",
    "busy",
    "internal",
]

VARIABLES: Final = [
    "TWITCHAUDIO_DATA_DIR",
    "TWITCHAUDIO_DATABASE_URL",
    "TWITCHAUDIO_JOBS",
    "TWITCHAUDIO_DYNAMODB_ENDPOINT",
    "TWITCHAUDIO_DYNAMODB_STREAM_TABLE",
    "TWITCHAUDIO_DYNAMODB_CLIP_TABLE",
    "TWITCHAUDIO_RUNNER",
    "TWITCHAUDIO_LAMBDA_FUNCTION",
    "TWITCHAUDIO_LAMBDA_ENDPOINT",
    "TWITCHAUDIO_RECOGNIZERS",
    "ACRCLOUD_HOST",
    "ACRCLOUD_ACCESS_KEY",
    "ACRCLOUD_ACCESS_SECRET",
    "AUDD_API_TOKEN",
    "TWITCHAUDIO_TWITCH_GQL_URL",
    "TWITCHAUDIO_TWITCH_USHER_URL",
    "TWITCHAUDIO_MEDIA_HOSTS",
    "TWITCHAUDIO_TWITCH_ID_URL",
    "TWITCH_CLIENT_ID",
    "TWITCH_CLIENT_SECRET",
    "TWITCHAUDIO_TWITCH_HELIX_URL",
    "TWITCHAUDIO_ADMINS",
    "TWITCHAUDIO_SESSION_KEY",
    "TWITCHAUDIO_TRUSTED_PROXIES",
    "TWITCHAUDIO_CORS_ORIGINS",
]

COMMANDS: Final = [
    ["serve", "--host", "127.0.0.1", "--port", "8080", "--demo"],
    ["identify", "somechannel", "SomeSlug-abc", "--json", "--catalog", "songs", "--recognizers", "catalog"],
    ["catalog", "add", "music", "--catalog", "songs"],
    ["catalog", "list", "--json"],
    ["catalog", "search", "text", "--json"],
    ["catalog", "remove", "abc", "def"],
    ["catalog", "stats", "--json"],
    ["catalog", "verify", "--json"],
    ["admin", "settings"],
    ["admin", "settings", "get", "access_mode"],
    ["admin", "settings", "set", "motd", "Hello"],
    ["admin", "keys"],
    ["admin", "keys", "list"],
    ["admin", "keys", "create", "a bot"],
    ["admin", "keys", "revoke", "abc"],
    ["admin", "blacklist"],
    ["admin", "blacklist", "list"],
    ["admin", "blacklist", "add", "channel", "somechannel"],
    ["admin", "blacklist", "remove", "channel", "somechannel"],
    ["admin", "whitelist", "list"],
    ["admin", "whitelist", "add", "somebody"],
    ["admin", "whitelist", "remove", "somebody"],
    ["admin", "broadcasters"],
    ["admin", "broadcasters", "list"],
    ["admin", "broadcasters", "add", "somestreamer"],
    ["admin", "broadcasters", "remove", "id:123"],
    ["admin", "codes", "list"],
    ["admin", "codes", "create"],
    ["admin", "codes", "revoke", "abc"],
    ["admin", "logs"],
    ["admin", "song-tokens"],
    ["admin", "song-tokens", "list", "--channel", "somechannel"],
    ["admin", "song-tokens", "create", "somechannel", "--note", "Nightbot"],
    ["admin", "song-tokens", "revoke", "abc"],
    ["admin", "watches"],
    ["admin", "watches", "start", "somechannel", "--every", "60", "--budget", "100"],
    ["admin", "watches", "stop", "somechannel"],
    ["admin", "plays", "list", "somechannel"],
    ["admin", "plays", "correct", "somechannel", "abc", "--title", "Night Drive", "--artist", "The Builders"],
    ["admin", "plays", "hide", "somechannel", "abc"],
    ["admin", "plays", "corrections", "somechannel", "--json"],
    ["admin", "plays", "undo", "somechannel", "abc"],
    ["admin", "plays", "public", "somechannel", "now"],
    ["admin", "reports"],
    ["admin", "reports", "done", "abc"],
    ["db", "upgrade"],
]


def test_problem_codes_are_the_contracts() -> None:
    assert [str(code) for code in ProblemCode] == CODES


def test_every_problem_code_has_a_title_and_a_status() -> None:
    assert set(PROBLEM_KINDS) == set(ProblemCode)
    assert all(400 <= kind.status < 600 for kind in PROBLEM_KINDS.values())


def test_settings_have_the_contracts_names() -> None:
    declared = {
        info.variable
        for info in settings_table(
            PipelineSettings, ProviderSettings, LinkSettings, DynamoDbSettings, TwitchSettings, ServerSettings
        )
    }
    assert declared >= set(VARIABLES)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_line_takes_the_contracts_words(arguments: list[str]) -> None:
    assert callable(make_parser().parse_args(arguments).run)


@pytest.mark.parametrize("name", ["run", "test", "bench", "check"])
def test_scripts_can_be_run(name: str) -> None:
    script = ROOT / "scripts" / name
    assert script.stat().st_mode & 0o111
