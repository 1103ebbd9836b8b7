"""`/api/v1/webhooks`: addresses of an API key's holder that are told of plays and of finished identifications."""

from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.identity.principal import Principal
from server.access.quotas.budgets import Allowance, CostBudget
from server.access.scopes import WEBHOOKS
from server.api.requests import no_unknown_query, read_body
from server.api.responses import BASE, json_response
from server.api.webhook_forms import WebhookJson, WebhooksJson, WebhookTestJson, WebhookWish
from server.audit.changes import ChangeLog
from server.webhooks.service import KEY
from server.webhooks.store import WebhookStore

TESTS: Final = Allowance(burst=10.0, per_second=0.1)
"""How many test messages an address may have sent: they are requests that this server makes for others."""

# Not in `server.keys`: only this module uses it.
TEST_BUDGET: Final = web.AppKey("webhook_tests", CostBudget)


async def _owner(request: web.Request) -> tuple[str, WebhookStore]:
    """The owner of webhooks who sends the request, and the store.

    Raises TwitchAudioError `login-required`, `forbidden`, and what `Access.check_sender` raises.
    """
    access, context = request.app[keys.ACCESS], request[keys.CONTEXT]
    await access.check_sender(context)
    principal = context.principal
    operator = principal.user is not None and access.admins.contain(principal.user)
    owner = webhook_owner(principal, operator=operator)
    if owner is None:
        if principal.key is None and principal.user is None:
            detail = f"Only operators and API keys with the scope `{WEBHOOKS}` have webhooks."
            raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
        detail = f"Webhooks take an API key with the scope {WEBHOOKS!r}."
        raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
    return owner, WebhookStore(request.app[keys.DATABASE], changes=ChangeLog(context.audit_subject))


def webhook_owner(principal: Principal, *, operator: bool = False) -> str | None:
    """Whose webhooks the principal's are; None for one who may have none."""
    if principal.key is not None and WEBHOOKS in principal.key.scopes:
        return f"{KEY}{principal.key.id}"
    return f"user:{principal.user.id}" if operator and principal.user is not None else None


async def list_webhooks(request: web.Request) -> web.Response:
    """The caller's webhooks, without their secrets."""
    no_unknown_query(request)
    owner, store = await _owner(request)
    return json_response(WebhooksJson(webhooks=[WebhookJson.of(each) for each in await store.all(owner)]))


async def get(request: web.Request) -> web.Response:
    """One webhook, without its secret."""
    no_unknown_query(request)
    owner, store = await _owner(request)
    return json_response(WebhookJson.of(await store.get(owner, request.match_info["id"])))


async def put(request: web.Request) -> web.Response:
    """Create a webhook, 201 with its secret, or change the one with this address or id."""
    no_unknown_query(request)
    owner, store = await _owner(request)
    wish = await read_body(request, request.app[keys.SETTINGS].limits, WebhookWish)
    webhooks = request.app[keys.WEBHOOKS]
    webhook, created = await store.put(
        owner,
        webhooks.sender.checked_url(wish.url),
        events=wish.chosen(),
        channels=wish.logins(),
        now=request.app[keys.CLOCK].now(),
        webhook_id=request.match_info.get("id"),
    )
    await webhooks.refresh()
    if not created:
        return json_response(WebhookJson.of(webhook))
    place = {"Location": f"{BASE}/webhooks/{webhook.id}"}
    return json_response(WebhookJson.of(webhook, secret=webhook.secret.reveal()), status=201, headers=place)


async def delete(request: web.Request) -> web.Response:
    """Delete a webhook, and what is still to be sent to it."""
    no_unknown_query(request)
    owner, store = await _owner(request)
    await store.delete(owner, request.match_info["id"])
    await request.app[keys.WEBHOOKS].refresh()
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def test(request: web.Request) -> web.Response:
    """Send a test message now, and tell what came of it."""
    no_unknown_query(request)
    owner, store = await _owner(request)
    webhook = await store.get(owner, request.match_info["id"])
    budget, address = request.app[TEST_BUDGET], request[keys.CONTEXT].credentials.address
    budget.check(address, "Too many test messages were asked for. Try again in a moment.")
    budget.spend(address)
    outcome = await request.app[keys.WEBHOOKS].test(webhook)
    return json_response(
        WebhookTestJson(delivered=outcome.error is None, status=outcome.status, detail=outcome.error)
    )


ROUTES: Final = (
    web.get(f"{BASE}/webhooks", list_webhooks),
    web.put(f"{BASE}/webhooks", put),
    web.get(f"{BASE}/webhooks/{{id}}", get),
    web.put(f"{BASE}/webhooks/{{id}}", put),
    web.delete(f"{BASE}/webhooks/{{id}}", delete),
    web.post(f"{BASE}/webhooks/{{id}}/test", test),
)
