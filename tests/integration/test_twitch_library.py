"""The simulated id.twitch.tv and Helix, driven by a library that others wrote: twitchAPI, as it is."""

import asyncio
from typing import Any

import aiohttp
import pytest
from twitchAPI import oauth
from twitchAPI.helper import first
from twitchAPI.oauth import (
    CodeFlow,
    UserAuthenticator,
    refresh_access_token,
    revoke_token,
)
from twitchAPI.twitch import Twitch
from twitchAPI.type import (
    AuthScope,
    InvalidRefreshTokenException,
    TwitchResourceNotFound,
    UnauthorizedException,
)
from yarl import URL

from simulator.accounts import OWN_APPLICATION, PUBLIC_APPLICATION
from tests.integration.simulator_client import CLIP, LIVE, VIDEO, Viewer

CLIENT, SECRET = OWN_APPLICATION.client_id, OWN_APPLICATION.secret or ""
CALLBACK = OWN_APPLICATION.redirect_uris[0]
SCOPES = [AuthScope.USER_READ_SUBSCRIPTIONS]


def auth_base(viewer: Viewer) -> str:
    return f"{viewer.twitch.id_url}/oauth2/"


async def validated(viewer: Viewer, token: str) -> dict[str, Any]:
    # Its types say `dict` and no more.
    check: Any = getattr(oauth, "validate_token")  # noqa: B009
    return await check(token, auth_base_url=auth_base(viewer))


async def library(viewer: Viewer) -> Twitch:
    """The library with an application's own token."""
    return await Twitch(CLIENT, SECRET, base_url=f"{viewer.twitch.helix_url}/", auth_base_url=auth_base(viewer))


async def signed_in(twitch: Twitch, viewer: Viewer) -> tuple[str, str]:
    """Through the library's code flow, with us as the browser; gives both tokens."""
    flow: Any = UserAuthenticator(twitch, SCOPES, url=CALLBACK, auth_base_url=auth_base(viewer))
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(flow.return_auth_url(), allow_redirects=False) as response,
    ):
        assert response.status == 302
        location = response.headers["Location"]
    back = URL(location)
    assert str(back).startswith(CALLBACK)
    assert back.query["state"] == flow.state
    token, refresh = await flow.authenticate(user_token=back.query["code"])
    return str(token), str(refresh)


async def test_the_library_signs_a_user_in_and_asks_about_subscriptions(viewer: Viewer) -> None:
    viewer.twitch.accounts.sign_in("subscriber_sue")
    twitch = await library(viewer)
    token, refresh = await signed_in(twitch, viewer)
    about = await validated(viewer, token)
    assert (about["login"], about["client_id"], about["scopes"]) == (
        "subscriber_sue",
        CLIENT,
        SCOPES,
    )
    await twitch.set_user_authentication(token, SCOPES, refresh)
    me = await first(twitch.get_users())
    assert me is not None
    assert me.login == "subscriber_sue"
    live, vic = (viewer.twitch.accounts.people[login].user_id for login in (LIVE, "viewer_vic"))
    subscription = await twitch.check_user_subscription(broadcaster_id=live, user_id=me.id)
    assert (subscription.tier, subscription.is_gift, subscription.broadcaster_login) == ("1000", False, LIVE)
    with pytest.raises(TwitchResourceNotFound):
        await twitch.check_user_subscription(broadcaster_id=vic, user_id=me.id)
    with pytest.raises(UnauthorizedException):
        await twitch.check_user_subscription(broadcaster_id=live, user_id=vic)
    await twitch.close()


async def test_the_library_refreshes_and_revokes(viewer: Viewer) -> None:
    twitch = await library(viewer)
    token, refresh = await signed_in(twitch, viewer)
    renewed, further = await refresh_access_token(refresh, CLIENT, SECRET, auth_base_url=auth_base(viewer))
    assert renewed != token
    with pytest.raises(InvalidRefreshTokenException):
        await refresh_access_token(refresh, CLIENT, SECRET, auth_base_url=auth_base(viewer))
    # With a token that expired it refreshes by itself, in the middle of a question.
    await twitch.set_user_authentication(renewed, SCOPES, further)
    viewer.twitch.accounts.revoke_all("viewer_vic")
    me = await first(twitch.get_users())
    assert me is not None
    assert me.login == "viewer_vic"
    now = str(twitch.get_user_auth_token())
    assert now != renewed
    assert await revoke_token(CLIENT, now, auth_base_url=auth_base(viewer))
    assert (await validated(viewer, now))["status"] == 401
    await twitch.close()


async def test_the_library_reads_users_streams_clips_and_videos(viewer: Viewer) -> None:
    twitch = await library(viewer)
    user = await first(twitch.get_users(logins=[LIVE]))
    assert user is not None
    assert user.id == viewer.twitch.accounts.people[LIVE].user_id
    assert [stream.user_login async for stream in twitch.get_streams(user_login=[LIVE, "asleep"])] == [LIVE]
    clip = await first(twitch.get_clips(clip_id=[CLIP]))
    assert clip is not None
    assert (clip.id, clip.duration) == (CLIP, 10.0)
    video = await first(twitch.get_videos(ids=[VIDEO]))
    assert video is not None
    assert video.duration == "36s"
    await twitch.close()


async def test_the_library_signs_a_device_in(viewer: Viewer) -> None:
    public = await Twitch(
        PUBLIC_APPLICATION.client_id,
        authenticate_app=False,
        base_url=f"{viewer.twitch.helix_url}/",
        auth_base_url=auth_base(viewer),
    )
    flow = CodeFlow(public, SCOPES, auth_base_url=auth_base(viewer))
    _code, address = await flow.get_code()
    waiting = asyncio.create_task(flow.wait_for_auth_complete())
    assert (await viewer.get(address)).status == 200
    token, _refresh = await asyncio.wait_for(waiting, 20)
    assert (await validated(viewer, token))["login"] == "viewer_vic"
    await public.close()
