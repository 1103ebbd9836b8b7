"""The version is written in pyproject.toml alone; what has to repeat it says the same."""

import hashlib
import importlib.metadata
import json
import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fingerprint.setting_formats import DEFAULT_USER_AGENT, FIREFOX_RELEASED, FIREFOX_VERSION
from scripts.make_release import ReleaseError, bill_of_materials, changelog_of, checksums, pinned, sign

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


CHANGES: Final = (
    "# Changelog\n\n## Unreleased\n\n- next\n\n## 1.2.0 (2026-12-01)\n\n- this\n\n## 1.1.0 (2026-11-01)\n\n- old\n"
)


def test_the_notes_of_a_release_are_its_part_of_the_changelog() -> None:
    assert changelog_of(CHANGES, "1.2.0") == "- this\n"
    assert changelog_of(CHANGES, "1.1.0") == "- old\n"
    for version in ("1.3.0", "1.2", "1X2.0", "Unreleased"):
        with pytest.raises(ReleaseError, match="no heading"):
            changelog_of(CHANGES, version)
    with pytest.raises(ReleaseError, match="no heading"):
        changelog_of("## 1.2.0 (2026-12-01)\n\n## 1.1.0 (2026-11-01)\n- old\n", "1.2.0")


def test_the_bill_of_materials_names_every_locked_package_with_its_files() -> None:
    text = (ROOT / "requirements/runtime.txt").read_text(encoding="utf-8")
    found = list(pinned(text))
    assert [package.name for package in found] == re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    assert sum(len(package.hashes) for package in found) == text.count("--hash=")
    bill = bill_of_materials("twitchaudio", "1.2.0", found, datetime(2026, 12, 1, tzinfo=UTC))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    components = cast("list[dict[str, object]]", bill["components"])
    assert {str(each["purl"]) for each in components} == {
        f"pkg:pypi/{package.name}@{package.version}" for package in found
    }


def test_checksums_are_signed_and_programs_of_others_verify_both(tmp_path: Path) -> None:
    for name in ("b.whl", "a.zip"):
        (tmp_path / name).write_bytes(name.encode())
    sums = checksums(tmp_path)
    assert sums.decode().splitlines()[0] == f"{hashlib.sha256(b'a.zip').hexdigest()}  a.zip"
    key = Ed25519PrivateKey.generate()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.public_key().verify(sign(sums, key.private_bytes(*form)), sums)
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(*form)
    for wrong in (other, b"no key"):
        with pytest.raises(ReleaseError, match="ed25519"):
            sign(sums, wrong)
