"""Examples to copy: ask, wait, print; and the commands for chat bots."""

from server.web.api_docs import Example


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


def bot_commands(origin: str, channel: str, token: str | None) -> tuple[Example, ...]:
    """What to type in a chat so that a bot knows `!song`, for each bot."""
    address = f"{origin}/api/v1/channels/{channel}/song.txt" + (f"?token={token}" if token else "")
    return (
        Example(language="Nightbot", code=f"!commands add !song $(urlfetch {address})"),
        Example(language="StreamElements", code=f"!command add !song ${{customapi.{address}}}"),
        Example(language="Fossabot", code=f"!addcom !song $(customapi {address})"),
    )
