"""What is said about a setup that cannot work: misspelled variables, missing halves, folders, catalogs."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from pymysql.err import MySQLError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fingerprint.database import open_database
from fingerprint.database_advice import database_advice
from fingerprint.database_backends import parse_address
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import SettingsError, read_settings, unknown_variables
from fingerprint.step_report import Outcome, StepResult, Verdict
from server import setup_checks
from server.readiness import Trial
from server.settings import ServerSettings
from server.setup_checks import check_setup, filesystem_of, settings_warnings


def warnings(environ: Mapping[str, str]) -> list[str]:
    return settings_warnings(read_settings(ServerSettings, environ), environ)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TWITCHAUDIO_JBOS": "sql"}, "TWITCHAUDIO_JBOS is not a setting. Did you mean TWITCHAUDIO_JOBS?"),
        ({"TWITCH_CLIENT_SECRETS": "x"}, "Did you mean TWITCH_CLIENT_SECRET?"),
        ({"ACRCLOUD_KEY": "x"}, "ACRCLOUD_KEY is not a setting."),
        ({"TWITCHAUDIO_JOBS_FILE": "/x"}, "TWITCHAUDIO_JOBS_FILE is not a setting."),
        ({"ACRCLOUD_HOST": "eu.acrcloud.com"}, "ACRCLOUD_ACCESS_KEY and ACRCLOUD_ACCESS_SECRET must be set, too"),
        ({"TWITCH_CLIENT_ID": "abc"}, "without TWITCH_CLIENT_SECRET"),
        ({"TWITCH_CLIENT_SECRET": "abc"}, "without TWITCH_CLIENT_ID"),
        ({"\ufeffTWITCHAUDIO_LOG_DAYS": "9"}, "is not a setting. Did you mean TWITCHAUDIO_LOG_DAYS?"),
        ({"export TWITCHAUDIO_LOG_DAYS": "9"}, "is not a setting. Did you mean TWITCHAUDIO_LOG_DAYS?"),
        ({"twitchaudio_log_days": "9"}, "is not a setting. Did you mean TWITCHAUDIO_LOG_DAYS?"),
        ({"TWITCHAUDIO_LOG_DAYS ": "9"}, "'TWITCHAUDIO_LOG_DAYS ' is not a setting."),
        ({"AUDD_API_TOKEN": "'abc'"}, "AUDD_API_TOKEN is in quotes"),
        ({"TWITCHAUDIO_DATA_DIR": '"/data"'}, "TWITCHAUDIO_DATA_DIR is in quotes"),
        ({"AUDD_API_TOKEN": "abc # of my account"}, "AUDD_API_TOKEN ends in a comment"),
        ({"AUDD_API_TOKEN": "abc def"}, "AUDD_API_TOKEN has a space"),
        ({"TWITCHAUDIO_TRUSTED_PROXIES": "0.0.0.0/0"}, "each visitor can claim any address"),
        ({"TWITCHAUDIO_ADMINS": "vic"}, "no one can sign in as an operator"),
        ({"TWITCHAUDIO_BASE_URL": "https://songs.example"}, "Without TWITCHAUDIO_TRUSTED_PROXIES"),
        (
            {"TWITCH_CLIENT_ID": "a", "TWITCH_CLIENT_SECRET": "b", "TWITCHAUDIO_DATABASE_URL": "mysql://u:p@db/n"},
            "TWITCHAUDIO_SESSION_KEY is not set: each server on this database has a key of its own",
        ),
    ],
)
def test_a_variable_that_does_nothing_is_named(environ: Mapping[str, str], said: str) -> None:
    (warning,) = warnings(environ)
    assert said in warning


@pytest.mark.parametrize(
    ("value", "hint"),
    [('"90"', "leave out the quotes"), ("'90'", "leave out the quotes"), ("90 # days", "leave out the comment")],
)
def test_quotes_and_comments_that_a_shell_would_take_away_are_named(value: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        read_settings(ServerSettings, {"TWITCHAUDIO_LOG_DAYS": value})


def test_a_file_of_variables_with_the_line_ends_of_windows_is_read() -> None:
    settings = read_settings(ServerSettings, {"TWITCHAUDIO_LOG_DAYS": "90\r", "TWITCH_CLIENT_ID": "abc\r"})
    assert (settings.log_days, settings.twitch_client_id) == (90, "abc")


@pytest.mark.parametrize(
    ("folder", "kind"), [("/data/twitchaudio", "nfs4"), ("/mnt/my disk/x", "cifs"), ("/home", "ext4")]
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    mounts = "/dev/vda / ext4 rw 0 0\nnas:/x /data nfs4 rw 0 0\n//nas/y /mnt/my\\040disk cifs rw 0 0\nodd\n"
    assert filesystem_of(Path(folder), mounts) == kind


async def failure(address: str) -> TwitchAudioError:
    async with open_database(address) as database:
        with pytest.raises(TwitchAudioError) as caught:
            await database.transact(lambda connection: connection.execute(text("CREATE TABLE t (id INTEGER)")))
    assert caught.value.detail == "Our database does not answer. Try again in a moment.", "what visitors read"
    return caught.value


async def test_why_a_file_cannot_be_the_database_is_said(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no database " * 100)
    for address, said in (
        (f"sqlite:///{notes}", "is not a SQLite database"),
        (f"sqlite:///{tmp_path}", "cannot be opened or made"),
    ):
        assert said in str(database_advice(await failure(address)))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1045, "refuses the user or the password"),
        (1044, "has no rights on the database"),
        (1142, "GRANT ALL on the database"),
        (1836, "takes no writes"),
        (2003, "Nothing answers at the host and port"),
    ],
)
def test_why_a_database_server_refuses_is_said(number: int, said: str) -> None:
    error = TwitchAudioError(ProblemCode.BUSY, "Our database does not answer.")
    error.__cause__ = DBAPIError("SELECT 1", None, MySQLError(number, "of app:secret@host"))
    assert said in str(database_advice(error))
    assert "secret" not in str(database_advice(error))
    assert database_advice(ValueError(number)) is None


def test_nothing_is_said_about_other_variables_and_whole_setups() -> None:
    assert warnings({"PATH": "/bin", "TWITCHAUDIO_NOTHING": " ", "AWS_REGION": "x"}) == []
    whole = {"TWITCH_CLIENT_ID": "abc", "TWITCH_CLIENT_SECRET": "x", "TWITCHAUDIO_ADMINS": "vic"}
    assert warnings(whole) == []
    # The file of one server, as in the demo.
    assert warnings({**whole, "TWITCHAUDIO_DATABASE_URL": "sqlite:////data/a.sqlite3"}) == []


@pytest.mark.parametrize("password", ["p@ss", "p@ss:word@x", "@"])
def test_a_password_with_an_at_sign_is_not_shown_as_a_host(password: str) -> None:
    with pytest.raises(SettingsError, match="%40") as caught:
        parse_address(f"mysql://user:{password}@db.internal:3306/name")
    said = str(caught.value)
    assert "p@" not in said
    assert "word@x" not in said
    assert "db.internal" not in said


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("open sesame\n")
    environ = {"TWITCH_CLIENT_SECRET_FILE": str(file), "TWITCHAUDIO_DATABASE_URL_FILE": str(file)}
    settings = read_settings(ServerSettings, environ)
    assert settings.twitch_client_secret is not None
    assert settings.twitch_client_secret.reveal() == "open sesame"
    assert settings.pipeline.database_url == "open sesame"
    assert unknown_variables(ServerSettings, environ) == []


def test_a_file_that_holds_no_secret_is_refused_without_showing_it(tmp_path: Path) -> None:
    odd = {
        "missing": tmp_path / "none",
        "a folder": tmp_path,
        "empty": tmp_path / "empty",
        "binary": tmp_path / "b",
    }
    odd["empty"].touch()
    odd["binary"].write_bytes(b"\xff\xfe\x00hidden")
    for name, file in odd.items():
        with pytest.raises(SettingsError, match=r"AUDD_API_TOKEN_FILE=.*a file with the secret") as caught:
            read_settings(PipelineSettings, {"AUDD_API_TOKEN_FILE": str(file)})
        assert "hidden" not in str(caught.value), name
        assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match="both are set"):
        read_settings(PipelineSettings, {"AUDD_API_TOKEN_FILE": str(tmp_path), "AUDD_API_TOKEN": "x"})


async def test_a_part_that_does_not_answer_is_named() -> None:
    async def attempt() -> None:
        await asyncio.Event().wait()

    async def check() -> Verdict:
        trial = Trial(name="jobs", attempt=attempt, silent="The job store does not answer.", seconds=0.01)
        await setup_checks._tried(trial)  # pyright: ignore[reportPrivateUsage] - no real part is silent on demand
        return Outcome.OK, ()

    step = await setup_checks._step("database", check)  # pyright: ignore[reportPrivateUsage] - likewise
    assert (step.outcome, step.notes) == (Outcome.FAILED, ("The job store does not answer.",))


async def checked(environ: Mapping[str, str]) -> dict[str, StepResult]:
    return {step.step: step for step in await check_setup(read_settings(ServerSettings, environ), environ)}


async def test_a_fresh_machine_has_nothing_that_fails(tmp_path: Path) -> None:
    found = await checked({"TWITCHAUDIO_DATA_DIR": str(tmp_path / "new")})
    assert [name for name, step in found.items() if step.outcome is Outcome.FAILED] == []
    assert found["decoder"].outcome is Outcome.OK
    assert "catalog add" in " ".join(found["catalog"].notes)
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nothing else runs


async def test_what_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "manifest.json").write_text("{}")
    old = tmp_path / "old.sqlite3"
    sqlite3.connect(old).execute("CREATE TABLE other (id)").connection.close()
    found = await checked(
        {
            "TWITCHAUDIO_DATA_DIR": str(tmp_path / "file" / "below"),
            "TWITCHAUDIO_CATALOGS": str(catalog),
            "TWITCHAUDIO_DATABASE_URL": f"sqlite:///{old}",
        }
    )
    failed = {name: " ".join(step.notes) for name, step in found.items() if step.outcome is Outcome.FAILED}
    assert {"data folder", "database", "catalog"} <= set(failed)
    assert "db upgrade" in failed["database"]
    assert "TWITCHAUDIO_DATA_DIR" in failed["data folder"]
