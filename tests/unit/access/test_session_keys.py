"""The keys of sessions: made once, for their owner only; old ones count as long as they are named."""

import stat
import threading
import time
from pathlib import Path

import pytest

from fingerprint.setting_formats import Secret
from fingerprint.settings import SettingsError, read_settings
from server.access.identity.session_keys import FILE, SessionKeys, kept_keys
from server.settings import ServerSettings

OLD, NEW = Secret("an old key of at least 32 characters"), Secret("a new key of at least 32 characters!")


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "of ours" / "data"
    [first] = kept_keys((), folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert [key.reveal() for key in kept_keys((), folder)] == [first.reveal()]
    assert len(first.reveal()) >= 43
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_servers_that_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(kept_keys((), tmp_path)[0].reveal())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_configured_keys_count_and_no_file_is_made(tmp_path: Path) -> None:
    assert kept_keys((NEW, OLD), tmp_path) == (NEW, OLD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "short", "\N{SNOWMAN}" * 40])
def test_a_file_that_holds_no_key_stops_the_start_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        kept_keys((), tmp_path)
    assert "TWITCHAUDIO_SESSION_KEY" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_stops_the_start_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="TWITCHAUDIO_SESSION_KEY") as caught:
        kept_keys((), tmp_path / "file" / "data")
    assert "\n" not in str(caught.value)


def test_what_an_old_key_sealed_is_opened_while_it_is_named() -> None:
    old, rotated, new = SessionKeys([OLD]), SessionKeys([NEW, OLD]), SessionKeys([NEW])
    cookie, tokens, csrf = old.seal_cookie(b"c"), old.seal_tokens(b"t"), old.csrf_token("id")
    assert rotated.open_cookie(cookie, 60) == b"c"
    assert rotated.open_tokens(tokens) == b"t"
    assert rotated.is_csrf_token(csrf, "id")
    assert new.open_cookie(cookie, 60) is None
    assert new.open_tokens(tokens) is None
    assert not new.is_csrf_token(csrf, "id")
    assert new.open_cookie(rotated.seal_cookie(b"c"), 60) == b"c"


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = SessionKeys([OLD])
    assert keys.open_tokens(keys.seal_cookie(b"x")) is None
    assert keys.open_cookie(keys.seal_tokens(b"x"), 60) is None


def test_a_cookie_is_too_old_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SessionKeys([OLD])
    cookie = keys.seal_cookie(b"x")
    assert keys.open_cookie(cookie, 60) == b"x"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert keys.open_cookie(cookie, 60) is None


@pytest.mark.parametrize("text", ["", "x", "é", "\udcff", "A" * 5_000])
def test_what_is_no_token_of_a_session_is_refused(text: str) -> None:
    keys = SessionKeys([OLD])
    assert not keys.is_csrf_token(text, "id")
    assert keys.open_cookie(text, 60) is None
    assert not keys.is_csrf_token(keys.csrf_token("other"), "id")


def test_settings_of_the_sign_in() -> None:
    settings = read_settings(
        ServerSettings,
        {
            "TWITCHAUDIO_SESSION_KEY": f"{NEW.reveal()},{OLD.reveal()}",
            "TWITCHAUDIO_BASE_URL": "https://songs.example/",
            "TWITCHAUDIO_ADMINS": "Vic, id:77",
        },
    )
    assert [key.reveal() for key in settings.session_keys] == [NEW.reveal(), OLD.reveal()]
    assert str(settings.base_url) == "https://songs.example"
    assert settings.admins == ("vic", "id:77")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TWITCHAUDIO_SESSION_KEY", "canary-short"),
        ("TWITCHAUDIO_SESSION_KEY", f"{'x' * 40},canary-short"),
        ("TWITCHAUDIO_BASE_URL", "http://songs.example"),
        ("TWITCHAUDIO_BASE_URL", "https://songs.example/api"),
        ("TWITCHAUDIO_BASE_URL", "songs.example"),
        ("TWITCHAUDIO_ADMINS", "two words"),
        ("TWITCHAUDIO_ADMINS", "id:x"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_and_a_secret_is_not_shown(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(ServerSettings, {variable: value})
    assert variable in str(caught.value)
    assert "canary" not in str(caught.value)
