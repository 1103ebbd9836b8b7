"""Runs ACRCloud's official client, whose requests are forced to https and which ends the process when it likes to.

Reads a JSON object from standard input: host, access_key, access_secret, and samples as paths. Prints its answers.
"""

import json
import sys
from typing import Any

from acrcloud.recognizer import ACRCloudRecognizer  # pyright: ignore[reportMissingTypeStubs]


def main() -> None:
    asked: dict[str, Any] = json.load(sys.stdin)
    config = {name: asked[name] for name in ("host", "access_key", "access_secret")} | {"timeout": 20}
    client: Any = ACRCloudRecognizer(config)
    answers: list[Any] = []
    for path in asked["samples"]:
        with open(path, "rb") as file:  # noqa: PTH123 - as its users do
            content = file.read()
        answers.append(json.loads(client.recognize_by_filebuffer(content, 0, 12)))
        answers.append(json.loads(client.recognize_audio_buffer(content, 0, 12)))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
