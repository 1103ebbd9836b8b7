"""What is sent to the stores, in which order, and what a refusal says."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from scripts import publish_extension
from scripts.publish_extension import (
    NEEDED,
    PublishError,
    Request,
    jwt,
    newest_changes,
    print_instead,
    publish,
    publish_chrome,
    publish_firefox,
)

GIVEN = {name: f"given-{name}" for names in NEEDED.values() for name in names}
ARCHIVE = Path("twitchaudio.zip")


class Store:
    """Answers with the next of a list, and keeps what was sent."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.sent: list[Request] = []
        self.pauses = 0

    async def send(self, request: Request) -> Any:
        self.sent.append(request)
        return self.answers.pop(0)

    async def pause(self) -> None:
        self.pauses += 1


async def test_firefox_waits_for_the_validation_and_makes_a_version() -> None:
    done = {"uuid": "u", "processed": True, "valid": True}
    version = {"version": "0.1.0.5", "file": {"url": "https://addons.mozilla.org/x.xpi"}}
    store = Store({"uuid": "u", "processed": False}, done, version)
    said = await publish_firefox(ARCHIVE, GIVEN, store.send, listed=False, pause=store.pause)
    assert "0.1.0.5" in said
    assert [(each.method, each.url.removeprefix(publish_extension.AMO)) for each in store.sent] == [
        ("POST", "/upload/"),
        ("GET", "/upload/u/"),
        ("POST", "/addon/twitchaudio@twitchaudio.extension/versions/"),
    ]
    assert store.sent[0].form == {"channel": "unlisted"}
    assert store.sent[2].json["release_notes"]["en-US"] == newest_changes() != ""
    assert len({each.secret for each in store.sent}) == 3, "a token is for one request"
    assert store.pauses == 1


async def test_what_firefox_refuses_is_told_in_its_words() -> None:
    messages = [{"message": "No id."}, {"message": "No icon."}]
    store = Store({"uuid": "u", "processed": True, "valid": False, "validation": {"messages": messages}})
    with pytest.raises(PublishError, match=r"No id\.; No icon\."):
        await publish_firefox(ARCHIVE, GIVEN, store.send, listed=True, pause=store.pause)


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])
async def test_chrome_waits_for_the_upload_and_submits_it(state: str) -> None:
    answers = (
        {"access_token": "t"},
        {"uploadState": "IN_PROGRESS"},
        {"lastAsyncUploadState": state},
        {"state": "X"},
    )
    store = Store(*answers)
    if state == "FAILED":
        with pytest.raises(PublishError, match="FAILED"):
            await publish_chrome(ARCHIVE, GIVEN, store.send, pause=store.pause)
        return
    assert await publish_chrome(ARCHIVE, GIVEN, store.send, pause=store.pause) == "submitted: X"
    assert [each.url.rpartition(":")[2] for each in store.sent[1:]] == ["upload", "fetchStatus", "publish"]
    assert {each.secret for each in store.sent[1:]} == {"Bearer t"}


@pytest.mark.parametrize("store", NEEDED)
async def test_a_dry_run_prints_the_requests_without_secrets(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await publish(store, ARCHIVE, GIVEN, print_instead)
    said = capsys.readouterr().out
    assert said.count("\n") >= 2
    assert "twitchaudio.zip" in said
    assert not any(value in said for name, value in GIVEN.items() if "SECRET" in name or "TOKEN" in name)


def test_a_token_for_mozilla_is_signed_and_short_lived() -> None:
    head, claims, signature = jwt("me", "key", now=1_700_000_000.5, nonce="n").split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, claims)]
    assert decoded[0] == {"alg": "HS256", "typ": "JWT"}
    assert decoded[1] == {"iss": "me", "jti": "n", "iat": 1_700_000_000, "exp": 1_700_000_240}
    assert len(base64.urlsafe_b64decode(signature + "==")) == 32
