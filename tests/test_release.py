"""The version is written in pyproject.toml alone; what has to repeat it says the same."""

import importlib.metadata
import json
import re
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from fingerprint.settings import DEFAULT_USER_AGENT, FIREFOX_RELEASED, FIREFOX_VERSION

ROOT: Final = Path(__file__).parent.parent
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_installed_package_has_the_version_of_the_project() -> None:
    assert importlib.metadata.version("twitchaudio") == VERSION


def test_the_extension_has_the_version_of_the_project() -> None:
    manifest = json.loads((ROOT / "extension/manifest.json").read_text(encoding="utf-8"))
    assert manifest["version"] == VERSION


def test_the_changelog_says_what_the_version_brings() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", VERSION]


def test_the_browser_that_requests_to_twitch_name_is_not_older_than_a_year() -> None:
    """Renew FIREFOX_VERSION and FIREFOX_RELEASED: Twitch refuses browsers that are too old."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)", changelog, re.MULTILINE)
    assert found is not None
    assert found[1] == VERSION, "the release that this version is"
    assert date.fromisoformat(found[2]) - FIREFOX_RELEASED <= timedelta(days=365)


def test_the_browsers_version_and_its_date_belong_together() -> None:
    """Firefox has a new version every four weeks, or up to six: 151 came on 19 May 2026."""
    passed = FIREFOX_RELEASED - date(2026, 5, 19)
    assert passed / timedelta(weeks=6) <= FIREFOX_VERSION - 151 <= passed / timedelta(weeks=4)
    assert DEFAULT_USER_AGENT.endswith(f" Firefox/{FIREFOX_VERSION}.0")
    assert f"rv:{FIREFOX_VERSION}.0" in DEFAULT_USER_AGENT


def test_no_other_file_repeats_the_version() -> None:
    """A number that stands twice is one day two numbers."""
    for path in [*(ROOT / "server").rglob("*.py"), *(ROOT / "fingerprint").rglob("*.py")]:
        assert f'"{VERSION}"' not in path.read_text(encoding="utf-8"), path
