"""`python -m simulator`: runs the simulated Twitch on its own until Ctrl-C."""

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from simulator.library import NoMusicError
from simulator.simulator import Simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator. Returns 0 after Ctrl-C or SIGTERM, 1 when it cannot start, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A simulated Twitch on this machine.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8099, help="the port, 0 for any free one (default: 8099)")
    parser.add_argument(
        "--tls", type=Path, metavar="PEM", help="serve over https, with the certificate and key in this file"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer, once")
    parser.add_argument("--music", type=Path, help="a folder of music to play instead of the composed songs")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where made media is kept")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when it is up")
    chosen = parser.parse_args(arguments)
    if not 0 <= chosen.port <= 65_535:
        parser.error("--port takes 0 to 65535")
    try:
        asyncio.run(_serve(chosen))
    except (NoMusicError, OSError, ValueError) as error:
        sys.stderr.write(f"The simulated Twitch cannot start: {error}\n")
        return 1
    return 0


def default_cache() -> Path:
    """The cache folder for generated media, which can be deleted at any time."""
    return Path(platformdirs.user_cache_dir("twitchaudio", appauthor=False)) / "demo"


async def _serve(chosen: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    simulator = Simulator(
        cache=chosen.cache,
        music=chosen.music,
        host=chosen.host,
        port=chosen.port,
        latency_ms=chosen.latency_ms,
        tls=None if chosen.tls is None else _tls(chosen.tls),
    )
    with contextlib.suppress(asyncio.CancelledError):
        async with simulator:
            sys.stdout.write(_as_json(simulator) if chosen.json else _as_text(simulator))
            sys.stdout.flush()
            await asyncio.Event().wait()


def _tls(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _as_json(simulator: Simulator) -> str:
    world = simulator.world
    return (
        json.dumps(
            {
                "url": simulator.base_url,
                "gql_url": simulator.gql_url,
                "usher_url": simulator.usher_url,
                "helix_url": simulator.helix_url,
                "id_url": simulator.id_url,
                "control_url": simulator.control_url,
                "media_hosts": list(simulator.media_hosts),
                "environment": simulator.environment(),
                "channels": list(world.channels),
                "clips": list(world.clips),
                "videos": list(world.videos),
                "songs": [str(song.path) for song in simulator.songs],
            }
        )
        + "\n"
    )


def _as_text(simulator: Simulator) -> str:
    world = simulator.world
    live = ", ".join(login for login, channel in world.channels.items() if channel.live)
    variables = "\n".join(f"  export {name}='{value}'" for name, value in simulator.environment().items())
    return (
        f"The simulated Twitch is at {simulator.base_url}\n"
        f"Live: {live}\n"
        f"Clips: {', '.join(world.clips)}\n"
        f"Videos: {', '.join(world.videos)}\n"
        f"State and switches: {simulator.control_url}\n"
        f"Point a server at it with\n{variables}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
