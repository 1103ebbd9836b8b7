"""Who is an admin: the accounts that the settings name, and not whoever gets their login later."""

from pathlib import Path

import pytest

from fingerprint.background import Background
from fingerprint.domain.problems import TwitchAudioError, UpstreamError
from fingerprint.ports import Broadcaster
from server.access.identity.admins import RETRY_SECONDS, Admins, pinned
from server.access.identity.twitch_user import TwitchUser
from tests.fakes import FakeClock
from tests.waiting import until


def user(user_id: str, login: str) -> TwitchUser:
    return TwitchUser(id=user_id, login=login, scopes=frozenset())


def test_the_first_who_signs_in_with_a_login_keeps_the_right_and_the_next_owner_does_not_get_it() -> None:
    admins = Admins(["boss", "id:7"])
    assert not admins.contain(user("2", "somebody"))
    assert admins.contain(user("1", "boss"))
    assert admins.contain(user("1", "boss_renamed"))
    assert not admins.contain(user("2", "boss"))
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
