import dataclasses
from pathlib import Path

import pytest
from yarl import URL

import fingerprint.recognizers
from fingerprint.clock import SystemClock
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.providers.calls import ProviderCalls
from fingerprint.recognizers import REGISTRY, Resources, chosen_names
from fingerprint.settings import SettingsError, read_settings
from fingerprint.upstream_settings import ProviderSettings
from fingerprint.wiring import checked_names, make_guards

NOT_RECOGNIZERS = {"__init__", "chain"}
ALL_KEYS = {
    "ACRCLOUD_HOST": "identify-eu-west-1.acrcloud.com",
    "ACRCLOUD_ACCESS_KEY": "key",
    "ACRCLOUD_ACCESS_SECRET": "secret",
    "AUDD_API_TOKEN": "token",
}


def settings(**environ: str) -> PipelineSettings:
    return read_settings(PipelineSettings, environ)


def test_the_registry_and_the_files_agree() -> None:
    files = {path.stem for path in Path(fingerprint.recognizers.__file__).parent.glob("*.py")}
    assert files - NOT_RECOGNIZERS == set(REGISTRY)


def test_each_makes_a_recognizer_of_its_name(tmp_path: Path) -> None:
    everything = dataclasses.replace(settings(**ALL_KEYS), data_dir=tmp_path)
    resources = Resources(ProviderCalls(Fetcher(AllowList.of_origins([])), SystemClock(), agent="test"))
    for name, entry in REGISTRY.items():
        assert entry.is_configured(everything)
        assert entry.factory(everything, resources).name == name
        assert all(isinstance(origin, URL) for origin in entry.origins(everything))


def test_without_settings_only_the_catalog_is_asked() -> None:
    assert chosen_names(settings()) == ("catalog",)


def test_keys_add_their_recognizer_behind_the_free_one_and_shazam_is_never_added_by_itself() -> None:
    assert chosen_names(settings(AUDD_API_TOKEN="token")) == ("catalog", "audd")
    assert chosen_names(settings(**ALL_KEYS)) == ("catalog", "acrcloud", "audd")
    assert chosen_names(settings(TWITCHAUDIO_RECOGNIZERS="audd,shazam")) == ("audd", "shazam")


@pytest.mark.parametrize("missing", ["ACRCLOUD_HOST", "ACRCLOUD_ACCESS_KEY", "ACRCLOUD_ACCESS_SECRET"])
def test_a_provider_that_is_set_up_by_half_stops_the_start(missing: str) -> None:
    some = {name: value for name, value in ALL_KEYS.items() if name != missing}
    with pytest.raises(SettingsError, match=missing):
        checked_names(settings(**some))


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"TWITCHAUDIO_RECOGNIZERS": "acrcloud"}, "TWITCHAUDIO_RECOGNIZERS"),
        ({"TWITCHAUDIO_RECOGNIZERS": "nobody"}, "TWITCHAUDIO_RECOGNIZERS"),
        ({"TWITCHAUDIO_BUDGETS": "catalog=1/day"}, "TWITCHAUDIO_BUDGETS"),
        ({"TWITCHAUDIO_BUDGETS": "nobody=1/day"}, "TWITCHAUDIO_BUDGETS"),
    ],
)
def test_names_that_mean_nothing_stop_the_start(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        make_guards(settings(**environ), SystemClock())


@pytest.mark.parametrize("text", ["https://identify.acrcloud.com", "a b", "host/path", "user@host", "-x"])
def test_acrclouds_host_is_a_host(text: str) -> None:
    with pytest.raises(SettingsError, match="ACRCLOUD_HOST"):
        settings(ACRCLOUD_HOST=text)


def test_an_address_may_stand_in_for_the_host() -> None:
    providers = read_settings(ProviderSettings, ALL_KEYS | {"TWITCHAUDIO_ACRCLOUD_URL": "http://127.0.0.1:8/"})
    assert providers.acrcloud_base == URL("http://127.0.0.1:8/")
    assert read_settings(ProviderSettings, ALL_KEYS).acrcloud_base == URL(
        "https://identify-eu-west-1.acrcloud.com"
    )


def test_secrets_do_not_show_themselves() -> None:
    text = repr(settings(**ALL_KEYS | {"ACRCLOUD_ACCESS_KEY": "canary1", "AUDD_API_TOKEN": "canary2"}))
    assert "canary" not in text
