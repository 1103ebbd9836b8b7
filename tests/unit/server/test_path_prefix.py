"""The website's path prefix: put in front of addresses, taken off requests, never forgotten in a template."""

import re
from pathlib import Path

import pytest

from fingerprint.settings import SettingsError, read_settings
from server.app import make_app
from server.middleware.path_prefix import with_prefix, without_prefix
from server.setting_formats import OWN_PATHS
from server.settings import ServerSettings

WEB = Path(__file__).parents[3] / "server" / "web"
FORGOTTEN = re.compile(
    r"""(?:href|src|action|formaction|poster|data-path)=["']/(?!/)|url\(/|(?:EventSource|fetch)\(["'`]/"""
)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("/t", "/"),
        ("/t/", "/"),
        ("/t?a=1", "/?a=1"),
        ("/t/docs#x", "/docs#x"),
        ("/docs", "/docs"),
        ("/to/docs", "/to/docs"),
        ("/x/t/docs", "/x/t/docs"),
        ("https://songs.example/t/docs", "https://songs.example/t/docs"),
    ],
)
def test_the_prefix_is_taken_off_whole(address: str, local: str) -> None:
    assert without_prefix(address, "/t") == local
    assert without_prefix(address, "") == address


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("/", "/t/"),
        ("/docs?a=1#b", "/t/docs?a=1#b"),
        ("/t/docs", "/t/docs"),
        ("//other.example/t", "//other.example/t"),
        ("https://id.example/t", "https://id.example/t"),
        ("", ""),
    ],
)
def test_the_prefix_is_put_in_front_of_our_paths_once(address: str, public: str) -> None:
    assert with_prefix(address, "/t") == public
    assert with_prefix(address, "") == address


def test_no_template_script_or_style_has_an_address_without_the_prefix() -> None:
    paths = [path for kind in ("html", "js", "css") for path in WEB.rglob(f"*.{kind}")]
    assert len(paths) > 20
    for path in paths:
        found = FORGOTTEN.search(path.read_text())
        assert found is None, f"{path.name}: {found and found[0]}: write {{{{ root }}}}/... or ${{root}}/..."


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("https://songs.example", ""),
        ("https://songs.example/", ""),
        ("https://songs.example/music", "/music"),
        ("https://songs.example/a/b-c/", "/a/b-c"),
        ("http://localhost:8080/t", "/t"),
    ],
)
def test_an_address_may_have_a_path(text: str, prefix: str) -> None:
    settings = read_settings(ServerSettings, {"TWITCHAUDIO_BASE_URL": text})
    assert settings.path_prefix == prefix
    assert str(settings.base_url) == text.rstrip("/")


@pytest.mark.parametrize(
    "path", ["api", "docs/x", "static", "admin", "a/../api", "a//b", "a%20b", "ä", "x?a=1", "{x}"]
)
def test_a_path_that_looks_like_ours_or_is_no_plain_name_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="TWITCHAUDIO_BASE_URL"):
        read_settings(ServerSettings, {"TWITCHAUDIO_BASE_URL": f"https://songs.example/{path}"})


def test_every_route_begins_with_a_name_that_no_prefix_may_have() -> None:
    app = make_app(ServerSettings())
    firsts = {resource.canonical.split("/")[1] for resource in app.router.resources()}
    assert firsts - {""} <= OWN_PATHS
