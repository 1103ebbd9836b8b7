"""Who is an admin: the accounts that the settings name, and not whoever gets their login later."""

import asyncio
from pathlib import Path

import pytest

from fingerprint.background import Background
from fingerprint.domain.problems import TwitchAudioError, UpstreamError
from fingerprint.ports import Broadcaster
from server.access.identity.admins import RETRY_SECONDS, Admins, pinned
from server.access.identity.twitch_user import TwitchUser
from tests.fakes import FakeClock
from tests.waiting import until

pytestmark = pytest.mark.timeout(18)  # nothing here waits for anything outside


def user(user_id: str, login: str) -> TwitchUser:
    return TwitchUser(id=user_id, login=login, scopes=frozenset())


def test_the_first_who_signs_in_with_a_login_keeps_the_right_and_the_next_owner_does_not_get_it() -> None:
    admins = Admins(["boss", "id:7"])
    assert admins.contain(user("2", "somebody")) is False
    assert admins.contain(user("1", "boss"))
    assert admins.contain(user("1", "boss_renamed"))
    assert admins.contain(user("2", "boss")) is False
    assert admins.contain(user("7", "whatever"))
    assert (admins.none, Admins([]).none) == (False, True)


async def test_twitch_says_once_whose_login_it_is_and_that_is_kept(tmp_path: Path) -> None:
    clock, asked, away = FakeClock(), list[str](), [True]

    async def find(login: str) -> Broadcaster | None:
        asked.append(login)
        if away[0]:
            raise UpstreamError("gql", "It is away.")
        return Broadcaster(id="1", login=login) if login == "boss" else None

    first = Admins(["boss", "nobody"])
    async with pinned(first, tmp_path, find, clock=clock, background=Background(clock)):
        await until(lambda: asked == ["boss", "nobody"])
        away[0] = False
        await clock.advance(RETRY_SECONDS)
        await until(lambda: first.unknown == frozenset({"nobody"}))
        await until((tmp_path / "admins.json").exists)
    # The login has changed hands since, as Twitch says by now too.
    again = Admins(["boss"])
    async with pinned(again, tmp_path, find, clock=clock, background=Background(clock)):
        assert not again.contain(user("2", "boss"))
        assert again.contain(user("1", "anything"))


@pytest.mark.parametrize("damage", ["", "[", "[]", "null", '{"boss": 1}', '{"boss": "one"}', "\xff"])
async def test_a_damaged_file_stops_the_start_by_name_instead_of_giving_the_right_away(
    tmp_path: Path, damage: str
) -> None:
    async def find(login: str) -> Broadcaster | None:
        return Broadcaster(id="2", login=login)

    file = tmp_path / "admins.json"
    file.write_bytes(damage.encode("latin-1"))
    with pytest.raises(TwitchAudioError, match=r"admins\.json .* TWITCHAUDIO_ADMINS"):
        async with pinned(Admins(["boss"]), tmp_path, find, clock=FakeClock(), background=Background(FakeClock())):
            pass
    assert file.read_bytes() == damage.encode("latin-1"), "nothing is overwritten"
    # Nothing depends on it where admins are named by their numbers, or not at all.
    for names in (["id:7"], []):
        async with pinned(Admins(names), tmp_path, find, clock=FakeClock(), background=Background(FakeClock())):
            pass


def test_a_login_that_changed_hands_is_told_once_for_each_account_and_so_many_in_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    admins = Admins(["boss"])
    admins.pin("boss", "1")
    for number in [*range(2, 200), 2]:
        assert not admins.contain(user(str(number), "boss"))
    told = [record for record in caplog.records if record.message == "admin_login_changed_hands"]
    assert [vars(record)["user_id"] for record in told] == [str(number) for number in range(2, 102)]


async def test_an_account_with_another_login_than_the_one_that_was_asked_for_is_not_an_admin(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    async def find(login: str) -> Broadcaster | None:
        asked.append(login)
        return Broadcaster(id="1", login="another")

    clock, admins = FakeClock(), Admins(["boss"])
    async with pinned(admins, tmp_path, find, clock=clock, background=Background(clock)):
        await until(lambda: asked)
        assert not admins.contain(user("1", "another"))
        await clock.advance(RETRY_SECONDS - 1)
        assert len(asked) == 1
        await clock.advance(1)
        await until(lambda: len(asked) == 2)


async def test_accounts_that_could_not_be_kept_are_kept_later(tmp_path: Path) -> None:
    async def find(login: str) -> Broadcaster | None:
        return Broadcaster(id="1", login=login)

    folder = tmp_path / "gone"
    clock, admins = FakeClock(), Admins(["boss", "second"])
    async with pinned(admins, folder, find, clock=clock, background=Background(clock)):
        await until(lambda: not admins.unknown)
        await until(lambda: not admins.changed.is_set())
        assert not folder.exists()
        folder.mkdir()
        admins.changed.set()
        await until((folder / "admins.json").exists)
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    assert not tasks & {"look up admins", "keep the accounts of admins"}, "they are over when the block is"


async def test_a_file_that_cannot_be_read_stops_the_start_with_its_reason(tmp_path: Path) -> None:
    async def find(_login: str) -> Broadcaster | None:
        return None

    (tmp_path / "admins.json").mkdir()
    with pytest.raises(TwitchAudioError, match="Is a directory"):
        async with pinned(Admins(["boss"]), tmp_path, find, clock=FakeClock(), background=Background(FakeClock())):
            pass
