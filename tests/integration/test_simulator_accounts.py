"""The simulated id.twitch.tv and Helix."""

import json
from typing import Any

import aiohttp
from yarl import URL

from simulator.accounts import FOREIGN_APPLICATION, OWN_APPLICATION, PUBLIC_APPLICATION
from simulator.faults import Fault, FaultKind, Step
from tests.integration.simulator_client import CLIP, LIVE, VIDEO, Reply, Viewer

APP = {"client_id": OWN_APPLICATION.client_id, "client_secret": OWN_APPLICATION.secret or ""}
PUBLIC = {"client_id": PUBLIC_APPLICATION.client_id}
CALLBACK = OWN_APPLICATION.redirect_uris[0]
SCOPE = "user:read:subscriptions"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def form(viewer: Viewer, path: str, **fields: str) -> Reply:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{viewer.twitch.id_url}/oauth2/{path}", data=fields) as response,
    ):
        return Reply(response.status, response.headers, await response.read())


async def authorize(viewer: Viewer, **changes: str) -> tuple[int, URL]:
    asked = {
        "client_id": OWN_APPLICATION.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": SCOPE,
        "state": "s3",
        **changes,
    }
    address = URL(f"{viewer.twitch.id_url}/oauth2/authorize").with_query(asked)
    async with aiohttp.ClientSession() as session, session.get(address, allow_redirects=False) as response:
        return response.status, URL(response.headers.get("Location", ""))


async def helix(viewer: Viewer, path: str, token: str, client: str = OWN_APPLICATION.client_id) -> Reply:
    headers = {"Authorization": f"Bearer {token}", "Client-Id": client}
    return await viewer.get(f"{viewer.twitch.helix_url}/{path}", **headers)


async def validate(viewer: Viewer, token: str) -> Reply:
    return await viewer.get(f"{viewer.twitch.id_url}/oauth2/validate", Authorization=f"OAuth {token}")


# --- signing in ---------------------------------------------------------------------------------------


async def test_the_code_flow_and_refresh_tokens_that_work_once(viewer: Viewer) -> None:
    status, location = await authorize(viewer)
    assert status == 302
    assert str(location).startswith(CALLBACK)
    assert location.query["state"] == "s3"
    exchange = {
        **APP,
        "grant_type": "authorization_code",
        "redirect_uri": CALLBACK,
        "code": location.query["code"],
    }
    issued = (await form(viewer, "token", **exchange)).json
    assert issued["scope"] == [SCOPE]
    assert issued["expires_in"] == 14_400
    assert (await form(viewer, "token", **exchange)).status == 400
    about = (await validate(viewer, issued["access_token"])).json
    assert about["login"] == "viewer_vic"
    assert about["client_id"] == OWN_APPLICATION.client_id
    refresh = {**APP, "grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    assert (await form(viewer, "token", **refresh)).json["refresh_token"] != issued["refresh_token"]
    again = await form(viewer, "token", **refresh)
    assert (again.status, again.json["message"]) == (400, "Invalid refresh token")


async def test_the_implicit_flow_gives_the_token_in_the_fragment(viewer: Viewer) -> None:
    _, location = await authorize(viewer, response_type="token")
    fragment = URL(f"?{location.fragment}").query
    assert fragment["token_type"] == "bearer"
    assert (await validate(viewer, fragment["access_token"])).json["scopes"] == [SCOPE]


async def test_a_viewer_who_says_no_and_addresses_that_are_not_registered(viewer: Viewer) -> None:
    viewer.twitch.accounts.sign_in(None)
    _, location = await authorize(viewer)
    assert location.query["error"] == "access_denied"
    assert location.query["state"] == "s3"
    assert (await authorize(viewer, redirect_uri="https://evil.example/"))[0] == 400
    assert (await authorize(viewer, client_id="nobody"))[0] == 400
    viewer.twitch.accounts.allow_redirect(OWN_APPLICATION.client_id, "http://127.0.0.1:5/login/callback")
    viewer.twitch.accounts.sign_in(LIVE)
    _, location = await authorize(viewer, redirect_uri="http://127.0.0.1:5/login/callback")
    assert location.query["code"]


async def test_a_device_waits_for_its_user(viewer: Viewer) -> None:
    started = (await form(viewer, "device", **PUBLIC, scopes=SCOPE)).json
    assert (started["expires_in"], started["interval"], len(started["user_code"])) == (1800, 5, 8)
    poll = {**PUBLIC, "grant_type": DEVICE, "device_code": started["device_code"], "scopes": SCOPE}
    waiting = await form(viewer, "token", **poll)
    assert (waiting.status, waiting.json["message"]) == (400, "authorization_pending")
    assert (await viewer.get(started["verification_uri"])).status == 200
    issued = (await form(viewer, "token", **poll)).json
    assert (await validate(viewer, issued["access_token"])).json["scopes"] == [SCOPE]
    assert (await form(viewer, "token", **poll)).json["message"] == "invalid device code"
    refreshed = await form(
        viewer, "token", **PUBLIC, grant_type="refresh_token", refresh_token=issued["refresh_token"]
    )
    assert refreshed.status == 200
    late = (await form(viewer, "device", **PUBLIC, scopes="")).json
    viewer.twitch.clock.advance(1801)
    assert (await viewer.get(late["verification_uri"])).status == 400


async def test_validate_and_revoke(viewer: Viewer) -> None:
    token = viewer.twitch.accounts.token_for("viewer_vic")
    assert (await validate(viewer, token)).json["expires_in"] == 14_400
    wrong = await form(viewer, "revoke", client_id="nobody", token=token)
    assert (wrong.status, wrong.json["message"]) == (404, "client does not exist")
    done = await form(viewer, "revoke", client_id=APP["client_id"], token=token)
    assert (done.status, done.body) == (200, b"")
    assert (await form(viewer, "revoke", client_id=APP["client_id"], token=token)).status == 400
    gone = await validate(viewer, token)
    assert (gone.status, gone.json["message"]) == (401, "invalid access token")
    missing = await viewer.get(f"{viewer.twitch.id_url}/oauth2/validate")
    assert missing.json["message"] == "missing authorization token"
    old = viewer.twitch.accounts.token_for("viewer_vic")
    viewer.twitch.clock.advance(14_401)
    assert (await validate(viewer, old)).status == 401


async def test_an_applications_own_token_belongs_to_nobody(viewer: Viewer) -> None:
    issued = (await form(viewer, "token", **APP, grant_type="client_credentials")).json
    assert "refresh_token" not in issued
    about = (await validate(viewer, issued["access_token"])).json
    assert about["scopes"] == []
    assert not {"login", "user_id"} & about.keys()
    assert (await form(viewer, "token", **PUBLIC, grant_type="client_credentials")).status == 403
    assert (await helix(viewer, f"users?login={LIVE}", issued["access_token"])).json["data"]


async def test_another_applications_token_is_valid_but_says_whose_it_is(viewer: Viewer) -> None:
    token = viewer.twitch.accounts.token_for("viewer_vic", client_id=FOREIGN_APPLICATION.client_id)
    assert (await validate(viewer, token)).json["client_id"] == FOREIGN_APPLICATION.client_id
    assert (await helix(viewer, "users", token)).json["message"] == "Client ID and OAuth token do not match"
    reply = await viewer.gql({"query": "{ a }"}, Authorization=f"OAuth {token}")
    assert reply.status == 401


# --- Helix --------------------------------------------------------------------------------------------


async def test_users(viewer: Viewer) -> None:
    token = viewer.twitch.accounts.token_for("viewer_vic")
    assert (await helix(viewer, "users", token)).json["data"][0]["login"] == "viewer_vic"
    found = (await helix(viewer, f"users?login={LIVE.upper()}&login=nobody_here&id=72000002", token)).json["data"]
    assert [user["login"] for user in found] == [LIVE, "subscriber_sue"]
    assert (await helix(viewer, "users?login=no%20login", token)).status == 400
    unknown = await helix(viewer, "users", "x" * 30)
    assert (unknown.status, unknown.json["error"]) == (401, "Unauthorized")


async def test_subscriptions(viewer: Viewer) -> None:
    accounts = viewer.twitch.accounts
    broadcaster = accounts.people[LIVE].user_id

    async def check(login: str, *scopes: str) -> Reply:
        user = accounts.people[login].user_id
        token = accounts.token_for(login, *scopes)
        return await helix(viewer, f"subscriptions/user?broadcaster_id={broadcaster}&user_id={user}", token)

    assert (await check("subscriber_sue", SCOPE)).json["data"][0]["tier"] == "1000"
    nothing = await check("viewer_vic", SCOPE)
    assert (nothing.status, nothing.json["error"]) == (404, "Not Found")
    accounts.subscribe("viewer_vic", LIVE, "3000")
    assert (await check("viewer_vic", SCOPE)).json["data"][0]["tier"] == "3000"
    assert (await check("subscriber_sue")).json["message"] == "Missing scope: user:read:subscriptions"
    token = accounts.token_for("viewer_vic", SCOPE)
    other = await helix(viewer, f"subscriptions/user?broadcaster_id={broadcaster}&user_id=72000002", token)
    assert other.status == 401
    assert (await helix(viewer, "subscriptions/user?user_id=72000001", token)).status == 400


async def test_streams_clips_and_videos(viewer: Viewer) -> None:
    token = viewer.twitch.accounts.token_for("viewer_vic")

    async def data(path: str) -> list[dict[str, Any]]:
        return (await helix(viewer, path, token)).json["data"]

    live = await data(f"streams?user_login={LIVE}&user_login=asleep")
    assert [stream["user_login"] for stream in live] == [LIVE]
    assert "{width}x{height}" in live[0]["thumbnail_url"]
    (clip,) = await data(f"clips?id={CLIP}&id=NoSuchClip")
    assert (clip["id"], clip["duration"], clip["broadcaster_name"]) == (CLIP, 10.0, "Ladders")
    (video,) = await data(f"videos?id={VIDEO}&id=1")
    assert (video["duration"], video["muted_segments"]) == ("36s", [{"duration": 6, "offset": 12}])
    assert (await helix(viewer, "videos?id=1", token)).status == 404
    assert (await helix(viewer, "videos?id=x", token)).status == 400


async def test_rate_limits_and_faults(viewer: Viewer) -> None:
    viewer.twitch.accounts.limit(2)
    token = viewer.twitch.accounts.token_for("viewer_vic")
    replies = [await helix(viewer, "users", token) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["Ratelimit-Remaining"] for reply in replies] == ["1", "0", "0"]
    assert int(replies[2].headers["Ratelimit-Reset"]) > viewer.twitch.clock.time()
    viewer.twitch.clock.advance(60)
    assert (await helix(viewer, "users", token)).status == 200
    viewer.twitch.fail(Fault(step=Step.HELIX, kind=FaultKind.STATUS, status=503, times=1))
    viewer.twitch.fail(Fault(step=Step.ID, kind=FaultKind.STATUS, status=500, times=1))
    assert (await helix(viewer, "users", token)).status == 503
    assert (await validate(viewer, token)).status == 500
    assert viewer.twitch.requests.counts == {"helix": 5, "id": 1}


async def test_accounts_can_be_set_over_http(viewer: Viewer) -> None:
    body = {
        "viewer": LIVE,
        "subscription": {"login": "viewer_vic", "broadcaster": LIVE, "tier": "2000"},
        "redirect": {"client_id": OWN_APPLICATION.client_id, "uri": "http://127.0.0.1:1/login/callback"},
        "points_per_minute": 10,
        "token": {"login": "viewer_vic", "scopes": [SCOPE]},
    }
    token = (await viewer.control("accounts", body)).json["token"]
    broadcaster = viewer.twitch.accounts.people[LIVE].user_id
    path = f"subscriptions/user?broadcaster_id={broadcaster}&user_id=72000001"
    reply = await helix(viewer, path, token)
    assert reply.json["data"][0]["tier"] == "2000"
    assert reply.headers["Ratelimit-Limit"] == "10"
    assert (await viewer.control("accounts", {"disconnect": "viewer_vic"})).status == 200
    assert (await validate(viewer, token)).status == 401
    for wrong in (
        {"viewers": 1},
        {"viewer": "nobody_here"},
        {"disconnect": "nobody_here"},
        {"token": 5},
        {"points_per_minute": 0},
    ):
        assert (await viewer.control("accounts", wrong)).status == 400, json.dumps(wrong)


# --- names --------------------------------------------------------------------------------------------


async def test_a_renamed_account_keeps_its_id_and_another_may_get_the_old_login(viewer: Viewer) -> None:
    token = viewer.twitch.world.accounts.token_for(LIVE)
    before = (await helix(viewer, f"users?login={LIVE}", token)).json["data"][0]
    await control(viewer, {"rename": {"login": LIVE, "to": "new_name"}})
    assert (await helix(viewer, f"users?login={LIVE}", token)).json["data"] == []
    renamed = (await helix(viewer, f"users?id={before['id']}", token)).json["data"][0]
    assert (renamed["id"], renamed["login"]) == (before["id"], "new_name")
    assert (await validate(viewer, token)).json["login"] == "new_name"
    query = {"query": "query($id: ID) { user(id: $id) { id login } }", "variables": {"id": before["id"]}}
    by_id = (await viewer.gql(query)).json
    assert by_id["data"]["user"] == {"id": before["id"], "login": "new_name"}
    clip = (await viewer.gql({"query": f'{{ clip(slug: "{CLIP}") {{ broadcaster {{ id login }} }} }}'})).json
    assert clip["data"]["clip"]["broadcaster"] == by_id["data"]["user"]

    await control(viewer, {"recycle": {"login": LIVE, "like": "new_name"}})
    other = (await helix(viewer, f"users?login={LIVE}", token)).json["data"][0]
    assert other["id"] != before["id"]
    for wrong in ({"rename": {"login": "new_name", "to": LIVE}}, {"rename": {"login": "nobody", "to": "x"}}):
        await control(viewer, wrong, status=400)
    viewer.twitch.world.reset()
    assert viewer.twitch.channel(LIVE).plan.user_id == int(before["id"])
    assert "new_name" not in viewer.twitch.world.channels


async def control(viewer: Viewer, body: dict[str, Any], *, status: int = 200) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{viewer.twitch.control_url}/accounts", json=body) as response,
    ):
        assert response.status == status, await response.text()
