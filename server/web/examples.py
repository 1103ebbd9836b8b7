"""Examples to click and to copy: targets to try; ask, wait, print; and the commands for chat bots."""

from ipaddress import ip_address
from typing import Final

from yarl import URL

from fingerprint.domain.targets import ChannelTarget, ClipTarget, TwitchTarget
from fingerprint.domain.text import clock_text
from server.web.api_docs import Example
from server.web.languages import ENGLISH, Language


def example_of(target: TwitchTarget, language: Language = ENGLISH) -> tuple[str, str]:
    """What the start page calls a target to try, and what is then in the field."""
    match target:
        case ChannelTarget():
            return target.login, target.login
        case ClipTarget():
            return language.gettext("a clip"), f"https://clips.twitch.tv/{target.slug}"
        case _:
            at = int(target.at_seconds or 0)
            return (
                language.gettext("a past broadcast at %(time)s", time=clock_text(at)),
                f"https://www.twitch.tv/videos/{target.video_id}?t={at}s",
            )


def start_examples(origin: str) -> tuple[Example, ...]:
    """Ask about a live channel in three languages. `origin` is this server's address."""
    address = f"{origin}/api/v1/identifications"
    curl = (
        f"curl {address} \\\n"
        "  -H 'Content-Type: application/json' -H 'Prefer: wait=20' \\\n"
        """  -d '{"channel": "somechannel"}'"""
    )
    python = f'''import json
import urllib.request

request = urllib.request.Request(
    "{address}",
    data=json.dumps({{"channel": "somechannel"}}).encode(),
    headers={{"Content-Type": "application/json", "Prefer": "wait=20"}},
)
with urllib.request.urlopen(request) as response:
    answer = json.load(response)
if answer["song"]:
    print(answer["song"]["title"], "by", ", ".join(answer["song"]["artists"]))
else:
    print(answer["status"], answer["problem"])'''
    javascript = f"""const response = await fetch("{address}", {{
  method: "POST",
  headers: {{ "Content-Type": "application/json", Prefer: "wait=20" }},
  body: JSON.stringify({{ channel: "somechannel" }}),
}});
const {{ status, song, problem }} = await response.json();
console.log(song ? `${{song.title}} by ${{song.artists.join(", ")}}` : problem ?? status);"""
    return (
        Example(language="curl", code=curl),
        Example(language="Python", code=python),
        Example(language="JavaScript", code=javascript),
    )


_LOCAL_ENDINGS: Final = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")
"""Ends of names that are not in the public DNS."""


def reachable_by_bots(origin: URL) -> bool:
    """Whether a chat bot, which runs on its maker's servers, can reach this address."""
    host = (origin.host or "").rstrip(".").lower()
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_ENDINGS)


def song_txt(origin: str, channel: str, token: str | None) -> str:
    """The address that answers with a channel's song in one line."""
    return f"{origin}/api/v1/channels/{channel}/song.txt" + (f"?token={token}" if token else "")


def bot_commands(origin: str, channel: str, token: str | None) -> tuple[Example, ...]:
    """What to type in a chat so that a bot knows `!song`, for each bot."""
    address = song_txt(origin, channel, token)
    return (
        Example(language="Nightbot", code=f"!commands add !song $(urlfetch {address})"),
        Example(language="StreamElements", code=f"!command add !song ${{customapi.{address}}}"),
        Example(language="Fossabot", code=f"!addcom !song $(customapi {address})"),
    )
