"""A chat bot that knows docs/bots.md and nothing else, asking a real server over HTTP."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from aiohttp import ClientSession
from yarl import URL

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.access.rules.store import RulesStore
from server.channels.song_tokens import SongTokenStore
from tests.builders import NOON
from tests.fakes import FakePipeline
from tests.test_docs import ROOT

DOCS: Final = (ROOT / "docs/bots.md").read_text(encoding="utf-8")
ROW: Final = re.compile(r"^\| (\w+) \| `(!(?:commands? add|addcom) !song .*)` \|$", re.MULTILINE)
COMMAND: Final = re.compile(r"!(?:commands? add|addcom) !song (.+)")
CALL: Final = re.compile(r"\$\(urlfetch (.+)\)|\$\(customapi (.+)\)|\$\{customapi\.(.+)\}")
"""How the bots write that they call an address."""

CHANNEL: Final = "somechannel"


def commands() -> Mapping[tuple[str, bool], str]:
    """The commands of the docs as they are to be pasted, by bot, and whether viewers can say how long ago."""
    return {(bot, "ago=" in text): text.replace(r"\|", "|") for bot, text in ROW.findall(DOCS)}


class Bot:
    """What a bot makes of a command that was pasted into its chat."""

    def __init__(self, api: ClientSession, server: URL, command: str, token: str) -> None:
        words = COMMAND.fullmatch(command)
        assert words is not None, command
        call = CALL.fullmatch(words[1])
        assert call is not None, command
        address = next(filter(None, call.groups())).replace("https://SERVER", str(server).rstrip("/"))
        self._address = address.replace("CHANNEL", CHANNEL).replace("TOKEN", token)
        self._api = api

    async def hears(self, message: str) -> str:
        """What the bot writes into the chat when a viewer has written `!song ...`."""
        said = message.removeprefix("!song").strip()
        address = self._address.replace("$(querystring)", quote(said)).replace("${1:|0}", quote(said or "0"))
        assert "$" not in address, "a variable of a bot that nothing fills in"
        async with self._api.get(URL(address, encoded=True)) as response:
            return await response.text() if response.status == 200 else f"[{response.status}]"


def test_the_docs_have_a_command_for_each_bot() -> None:
    plain = {bot for bot, asks_how_long in commands() if not asks_how_long}
    assert plain == {"Nightbot", "StreamElements", "Fossabot"}
    assert {bot for bot, asks_how_long in commands() if asks_how_long} >= {"Nightbot", "StreamElements"}


async def test_each_command_of_the_docs_answers_as_the_docs_say(
    api: ClientSession, parts: FakePipeline, database: Database
) -> None:
    await RulesStore(database).set_website("access_mode", "subscribers")
    _, secret = await SongTokenStore(database).create(CHANNEL, now=NOON, note="the docs' bot")
    server = (await api.get("/healthz")).url.origin()
    now, then = "Now playing: Night Drive by The Builders", "Played 1:30 ago: Night Drive by The Builders"
    assert now in DOCS
    assert then in DOCS
    for (name, asks_how_long), command in commands().items():
        bot = Bot(api, server, command, secret.reveal())
        assert await bot.hears("!song") == now, name
        if asks_how_long:
            assert await bot.hears("!song 90") == then, name
            for wrong in ("soon", "-5", "99999999", "1 & 2", "?#/"):
                said = await bot.hears(f"!song {wrong}")
                assert said.startswith("Sorry: "), (name, wrong, said)
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    bot = Bot(api, server, commands()["Fossabot", False], secret.reveal())
    assert await bot.hears("!song") == "Sorry: The channel is not live."
    assert 'also for problems ("Sorry: ...")' in DOCS
    bot = Bot(api, server, commands()["Fossabot", False], "not-the-token")
    assert re.fullmatch(r"Sorry: .*token is not valid.*", await bot.hears("!song"))


async def test_the_form_of_the_docs_writes_a_song_as_they_say(api: ClientSession) -> None:
    found = re.search(r"`song\.txt\?format=([^`]+)`", DOCS)
    assert found is not None
    address = f"/api/v1/channels/{CHANNEL}/song.txt"
    text = await (await api.get(address, params={"format": found[1]})).text()
    assert text.startswith("The Builders - Night Drive")
    names = set(re.findall(r"`\{(\w+)\}`", DOCS))
    assert names == {"title", "artist", "album", "link", "ago", "channel"}
    for name in names:
        said = await (await api.get(address, params={"format": f"x {{{name}}}"})).text()
        assert "{" not in said, name
