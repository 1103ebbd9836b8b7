"""id.twitch.tv: authorize, token, device, revoke and validate, with Twitch's own bodies and status codes."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from simulator.accounts import (
    APP_TOKEN_SECONDS,
    DEVICE_SECONDS,
    IMPLICIT_TOKEN_SECONDS,
    USER_TOKEN_SECONDS,
    Accounts,
    Application,
    Grant,
)
from simulator.faults import Step, taken
from simulator.hosts import Hosts
from simulator.transport import PlannedResponse, Transport
from simulator.world import World

_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL: Final = 5


class SignInRoutes:
    """Serves everything below /oauth2, and the page where a viewer enters a device's code.

    `authorize` shows no page: it succeeds at once for the signed-in viewer, and is refused without one.
    """

    def __init__(self, world: World, accounts: Accounts, transport: Transport, hosts: Hosts) -> None:
        self._world = world
        self._accounts = accounts
        self._transport = transport
        self._hosts = hosts

    def add_to(self, app: web.Application) -> None:
        """Register the sign-in routes with the application."""
        app.router.add_get("/oauth2/authorize", self._authorize)
        app.router.add_post("/oauth2/token", self._token)
        app.router.add_post("/oauth2/device", self._device)
        app.router.add_post("/oauth2/revoke", self._revoke)
        app.router.add_get("/oauth2/validate", self._validate)
        app.router.add_get("/activate", self._activate)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        application = self._accounts.applications.get(query.get("client_id", ""))
        if application is None:
            return await self._refuse(request, 400, "invalid client")
        redirect = query.get("redirect_uri", "")
        if redirect not in application.redirect_uris:
            return await self._refuse(request, 400, "Parameter redirect_uri does not match registered URI")
        kind = query.get("response_type")
        if kind not in ("code", "token"):
            return await self._refuse(request, 400, "invalid response type")
        state = {"state": query["state"]} if "state" in query else {}
        scopes = query.get("scope", "").split()
        viewer = self._accounts.viewer
        if viewer is None:
            denied = {"error": "access_denied", "error_description": "The user denied you access", **state}
            return await self._redirect(request, str(URL(redirect).update_query(denied)))
        if kind == "code":
            grant = self._accounts.grant(application.client_id, viewer, scopes, USER_TOKEN_SECONDS)
            code = self._accounts.issue_code(grant, redirect, query.get("code_challenge", ""))
            answer = {"code": code, "scope": " ".join(scopes), **state}
            return await self._redirect(request, str(URL(redirect).update_query(answer)))
        grant = self._accounts.grant(application.client_id, viewer, scopes, IMPLICIT_TOKEN_SECONDS)
        token = self._accounts.issue(grant)
        fragment = {"access_token": token, "scope": " ".join(scopes), **state, "token_type": "bearer"}
        return await self._redirect(request, f"{redirect}#{urlencode(fragment)}")

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        application = self._accounts.applications.get(form.get("client_id", ""))
        if application is None:
            return await self._refuse(request, 400, "invalid client")
        match form.get("grant_type"):
            case "authorization_code":
                return await self._exchange(request, application, form)
            case "client_credentials":
                return await self._credentials(request, application, form)
            case "refresh_token":
                return await self._refresh(request, application, form)
            case kind if kind == _DEVICE_GRANT:
                return await self._poll(request, application, form)
            case _:
                return await self._refuse(request, 400, "Invalid grant_type")

    async def _exchange(
        self, request: web.Request, application: Application, form: Mapping[str, str]
    ) -> web.StreamResponse:
        if application.secret is None or form.get("client_secret") != application.secret:
            return await self._refuse(request, 403, "invalid client secret")
        grant = self._accounts.take_code(
            form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier", "")
        )
        if grant is None or grant.client_id != application.client_id:
            return await self._refuse(request, 400, "Invalid authorization code")
        return await self._issued(request, grant)

    async def _credentials(
        self, request: web.Request, application: Application, form: Mapping[str, str]
    ) -> web.StreamResponse:
        if application.secret is None or form.get("client_secret") != application.secret:
            return await self._refuse(request, 403, "invalid client secret")
        grant = self._accounts.grant(application.client_id, None, (), APP_TOKEN_SECONDS)
        body = {
            "access_token": self._accounts.issue(grant),
            "expires_in": APP_TOKEN_SECONDS,
            "token_type": "bearer",
        }
        return await self._reply(request, body)

    async def _refresh(
        self, request: web.Request, application: Application, form: Mapping[str, str]
    ) -> web.StreamResponse:
        if application.secret is not None and form.get("client_secret") != application.secret:
            return await self._refuse(request, 403, "invalid client secret")
        grant = self._accounts.take_refresh(form.get("refresh_token", ""))
        if grant is None or grant.client_id != application.client_id:
            return await self._refuse(request, 400, "Invalid refresh token")
        return await self._issued(request, grant)

    async def _poll(
        self, request: web.Request, application: Application, form: Mapping[str, str]
    ) -> web.StreamResponse:
        device = self._accounts.device(form.get("device_code", ""))
        if device is None or device.client_id != application.client_id:
            return await self._refuse(request, 400, "invalid device code")
        if device.person is None:
            return await self._refuse(request, 400, "authorization_pending")
        device.used = True
        grant = self._accounts.grant(device.client_id, device.person, device.scopes, USER_TOKEN_SECONDS)
        return await self._issued(request, grant)

    async def _issued(self, request: web.Request, grant: Grant) -> web.StreamResponse:
        grant = self._accounts.grant(grant.client_id, grant.person, grant.scopes, USER_TOKEN_SECONDS)
        body = {
            "access_token": self._accounts.issue(grant),
            "expires_in": USER_TOKEN_SECONDS,
            "refresh_token": self._accounts.issue_refresh(grant),
            "scope": list(grant.scopes),
            "token_type": "bearer",
        }
        return await self._reply(request, body)

    async def _device(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        application = self._accounts.applications.get(form.get("client_id", ""))
        if application is None:
            return await self._refuse(request, 400, "invalid client")
        scopes = form.get("scopes", "").split()
        code, device = self._accounts.start_device(application.client_id, scopes)
        body = {
            "device_code": code,
            "expires_in": DEVICE_SECONDS,
            "interval": _INTERVAL,
            "user_code": device.user_code,
            "verification_uri": f"{self._hosts.activate}?device-code={device.user_code}",
        }
        return await self._reply(request, body)

    async def _activate(self, request: web.Request) -> web.StreamResponse:
        done = self._accounts.activate(request.query.get("device-code", ""))
        return await self._reply(request, {"activated": done}, status=200 if done else 400)

    async def _revoke(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        client_id = form.get("client_id", "")
        if client_id not in self._accounts.applications:
            return await self._refuse(request, 404, "client does not exist")
        if not self._accounts.revoke(form.get("token", ""), client_id):
            return await self._refuse(request, 400, "Invalid token")
        return await self._send(request, b"", 200)

    async def _validate(self, request: web.Request) -> web.StreamResponse:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            return await self._refuse(request, 401, "missing authorization token")
        grant = self._accounts.look_up(token) if kind in ("OAuth", "Bearer") else None
        if grant is None:
            return await self._refuse(request, 401, "invalid access token")
        body: dict[str, Any] = {
            "client_id": grant.client_id,
            "scopes": list(grant.scopes),
            "expires_in": int(grant.expires_at - self._world.clock.time()),
        }
        if grant.person is not None:
            body |= {"login": grant.person.login, "user_id": grant.person.user_id}
        return await self._reply(request, body)

    async def _redirect(self, request: web.Request, location: str) -> web.StreamResponse:
        return await self._send(request, b"", 302, {"Location": location})

    async def _refuse(self, request: web.Request, status: int, message: str) -> web.StreamResponse:
        return await self._reply(request, {"status": status, "message": message}, status=status)

    async def _reply(
        self, request: web.Request, body: Mapping[str, object], *, status: int = 200
    ) -> web.StreamResponse:
        return await self._send(request, json.dumps(body).encode(), status)

    async def _send(
        self, request: web.Request, body: bytes, status: int, headers: dict[str, str] | None = None
    ) -> web.StreamResponse:
        planned = PlannedResponse(
            step=Step.ID,
            body=body,
            content_type="application/json",
            status=status,
            headers=headers,
            faults=taken(Step.ID, self._world.faults),
        )
        return await self._transport.send(request, planned)


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of the form, or of the query string, where some libraries put them."""
    posted = await request.post()
    return {**request.query, **{name: value for name, value in posted.items() if isinstance(value, str)}}
