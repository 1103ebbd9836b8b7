from pathlib import Path

import pytest
from yarl import URL

from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import DEFAULT_GQL_ATTEMPTS, GqlAttempt, S3Address, Secret, secret
from fingerprint.settings import SettingsError, read_settings, settings_table
from fingerprint.upstream_settings import TwitchSettings
from server.settings import ServerSettings


def test_nothing_set_gives_the_embedded_defaults() -> None:
    settings = read_settings(PipelineSettings, {})
    assert settings == PipelineSettings()
    assert settings.twitch.gql_attempts == DEFAULT_GQL_ATTEMPTS
    assert settings.recognizers == ()
    assert settings.database_url is None


def test_nested_groups_are_read_too() -> None:
    settings = read_settings(
        PipelineSettings,
        {
            "TWITCHAUDIO_TWITCH_GQL_URL": "http://127.0.0.1:8090/gql",
            "TWITCHAUDIO_MEDIA_HOSTS": "127.0.0.1, *.Example.net",
            "TWITCHAUDIO_DATA_DIR": "/tmp/songs",
        },
    )
    assert settings.twitch.gql_url == URL("http://127.0.0.1:8090/gql")
    assert settings.twitch.media_hosts == ("127.0.0.1", "*.example.net")
    assert settings.catalog_dir == Path("/tmp/songs/catalog")


def test_catalogs_are_folders_and_addresses_in_object_storage() -> None:
    settings = read_settings(
        PipelineSettings,
        {
            "TWITCHAUDIO_CATALOGS": "/srv/music, s3://our-music/labels/harbour/,s3://our-music",
            "TWITCHAUDIO_DATA_DIR": "/tmp/songs",
        },
    )
    assert settings.remote_catalogs == (S3Address("our-music", "labels/harbour"), S3Address("our-music"))
    assert [str(address) for address in settings.remote_catalogs] == [
        "s3://our-music/labels/harbour",
        "s3://our-music",
    ]
    folders = settings.catalog_dirs
    assert folders[0] == Path("/srv/music")
    assert {folder.parent for folder in folders[1:]} == {Path("/tmp/songs/catalog-copies")}
    assert len(set(folders)) == 3


def test_an_empty_variable_counts_as_absent() -> None:
    assert read_settings(TwitchSettings, {"TWITCHAUDIO_MEDIA_HOSTS": " "}) == TwitchSettings()


def test_gql_attempts_are_an_ordered_list_of_client_id_and_form() -> None:
    settings = read_settings(
        TwitchSettings, {"TWITCHAUDIO_TWITCH_GQL_ATTEMPTS": "abc1:text,xyz2:persisted,abc1:minimal"}
    )
    assert settings.gql_attempts == (
        GqlAttempt("abc1", "text"),
        GqlAttempt("xyz2", "persisted"),
        GqlAttempt("abc1", "minimal"),
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TWITCHAUDIO_TWITCH_GQL_URL", "gql.twitch.tv"),
        ("TWITCHAUDIO_TWITCH_GQL_URL", "ftp://gql.twitch.tv"),
        ("TWITCHAUDIO_TWITCH_USHER_URL", "https://user@usher.ttvnw.net"),
        ("TWITCHAUDIO_TWITCH_GQL_ATTEMPTS", "abc"),
        ("TWITCHAUDIO_USER_AGENT", "x" * 301),
        ("TWITCHAUDIO_USER_AGENT", "Mözilla"),
        ("TWITCHAUDIO_TWITCH_GQL_ATTEMPTS", "abc:guess"),
        ("TWITCHAUDIO_MEDIA_HOSTS", "https://example.net"),
        ("TWITCHAUDIO_MEDIA_HOSTS", "a*b.net"),
        ("TWITCHAUDIO_MEDIA_HOSTS", "*."),
        ("TWITCHAUDIO_JOBS", "redis"),
        ("TWITCHAUDIO_CATALOGS", "https://bucket.example/x"),
        ("TWITCHAUDIO_CATALOGS", "s3://"),
        ("TWITCHAUDIO_CATALOGS", "s3:///x"),
        ("TWITCHAUDIO_CATALOGS", "/srv/music,s3://Our_Music/x"),
        ("TWITCHAUDIO_CATALOGS", "s3://music/a//b"),
        ("TWITCHAUDIO_CATALOGS", "s3://music/../b"),
        ("TWITCHAUDIO_RECOGNIZERS", ","),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_variable_value_and_what_it_takes(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(PipelineSettings, {variable: value})
    text = str(caught.value)
    takes = next(
        info.takes for info in settings_table(PipelineSettings, TwitchSettings) if info.variable == variable
    )
    assert variable in text
    assert value in text
    assert takes in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "value",
    [
        *("*", "null", "app.example", "https://*.example", "https://app.example/page", "https://app.example?x=1"),
        *("https://user@app.example", "ftp://app.example", "https://", "https://app.example:99999", "https://a b"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="takes comma-separated origins"):
        read_settings(ServerSettings, {"TWITCHAUDIO_CORS_ORIGINS": f"https://good.example,{value}"})


def test_origins_are_as_browsers_send_them() -> None:
    text = "https://App.Example:443/, http://localhost:3000, http://[::1]:8000, https://b\u00fccher.example"
    read = read_settings(ServerSettings, {"TWITCHAUDIO_CORS_ORIGINS": text})
    expected = "https://app.example http://localhost:3000 http://[::1]:8000 https://xn--bcher-kva.example"
    assert read.cors_origins == tuple(expected.split())


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(PipelineSettings, {"TWITCHAUDIO_CATALOGS": "s3://key:open-sesame@bucket/x"})
    assert "sesame" not in str(caught.value)


def test_a_secret_hides_itself() -> None:
    hidden = secret("open sesame")
    assert isinstance(hidden, Secret)
    assert "sesame" not in f"{hidden} {hidden!r}"
    assert hidden.reveal() == "open sesame"
