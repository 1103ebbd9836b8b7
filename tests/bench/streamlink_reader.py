"""Times streamlink's library, in a process of its own: from a channel's address to six seconds of its sound read.

`python -m tests.bench.streamlink_reader PROXY LOGIN RUNS SECONDS` prints the milliseconds of each run as JSON.
Loading the library and its plugins is not counted: a server would do that once.
"""

import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast


def main(arguments: Sequence[str]) -> int:
    proxy, login, runs, seconds = arguments
    streamlink = cast("Any", import_module("streamlink"))
    times = [read(streamlink, proxy, login, float(seconds)) for _ in range(int(runs) + 1)]
    print(json.dumps(times[1:]))  # the first one loads the plugin
    return 0


def read(streamlink: Any, proxy: str, login: str, seconds: float) -> float:
    session = streamlink.Streamlink()
    session.set_option("http-proxy", proxy)
    session.set_option("webbrowser", False)
    session.set_option("stream-segmented-duration", seconds)
    started = time.perf_counter()
    with session.streams(f"https://www.twitch.tv/{login}")["audio_only"].open() as stream:
        size = 0
        while content := stream.read(1 << 16):
            size += len(content)
    if size < 10_000:
        raise RuntimeError("streamlink read nothing")
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
