"""How the API's addresses of webhooks, accounts and the server itself are described."""

from typing import Final

from fingerprint.domain.problems import ProblemCode
from server.api.openapi_operations import (
    CREDENTIALS,
    ETAG,
    IF_NONE_MATCH,
    LOCATION,
    NOT_MODIFIED,
    OWNER,
    ApiOperation,
    content_of,
    json_of,
)
from server.api.openapi_schemas import TEXT
from server.api.responses import BASE

SERVER: Final = (
    ApiOperation(
        f"GET {BASE}/webhooks",
        id="webhooks",
        summary="Your webhooks",
        description="Without their secrets. For operators and API keys with the scope `webhooks`.",
        responses={"200": json_of("Webhooks", "The webhooks.")},
        problems=OWNER,
    ),
    ApiOperation(
        f"PUT {BASE}/webhooks",
        id="putWebhook",
        summary="Have an address told of events",
        description="Creates a webhook, or changes the one with the same address. Messages are signed as "
        "Standard Webhooks says, with the secret that is shown once, and tried again for a day and a half.",
        body="WebhookWish",
        responses={
            "200": json_of("Webhook", "It was there before, and has changed."),
            "201": json_of("Webhook", "It is new, and this is its secret.", LOCATION),
        },
        problems=OWNER,
    ),
    ApiOperation(
        f"GET {BASE}/webhooks/{{id}}",
        id="webhook",
        summary="A webhook",
        description="Its state, and what was wrong last.",
        responses={"200": json_of("Webhook", "The webhook.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"PUT {BASE}/webhooks/{{id}}",
        id="changeWebhook",
        summary="Change a webhook",
        description="Its secret stays. One that was disabled is enabled again.",
        body="WebhookWish",
        responses={"200": json_of("Webhook", "It has changed.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"DELETE {BASE}/webhooks/{{id}}",
        id="deleteWebhook",
        summary="Delete a webhook",
        description="What was still to be sent to it is dropped.",
        responses={"204": {"description": "Deleted."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"POST {BASE}/webhooks/{{id}}/test",
        id="testWebhook",
        summary="Send a test message now",
        description="The answer says what came of it.",
        responses={"200": json_of("WebhookTest", "What came of it.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED),
    ),
    ApiOperation(
        f"GET {BASE}/status",
        id="status",
        summary="What the service offers",
        description="For everyone: who has access, what is switched on, and whether music can be recognized.",
        responses={"200": json_of("Status", "Access mode, toggles, message of the day.")},
    ),
    ApiOperation(
        f"GET {BASE}/me",
        id="me",
        summary="The caller's account and permissions",
        description="How you are known, what you may identify, and if not, why.",
        responses={"200": json_of("Me", "Your account and permissions.")},
        problems=CREDENTIALS,
    ),
    ApiOperation(
        f"GET {BASE}/me/finds",
        id="finds",
        summary="Your finds",
        description="The songs that you found while signed in on the website, newest first: at most 500, for "
        "at most 400 days. Only you can read them. Takes a Twitch token or the website's session.",
        responses={"200": json_of("Finds", "Your finds.")},
        problems=(*CREDENTIALS, ProblemCode.LOGIN_REQUIRED),
    ),
    ApiOperation(
        f"DELETE {BASE}/me/finds",
        id="deleteFinds",
        summary="Delete your finds",
        description="Deletes all of them from your account.",
        responses={"204": {"description": "There are none any more."}},
        problems=(*CREDENTIALS, ProblemCode.LOGIN_REQUIRED, ProblemCode.CSRF),
    ),
    ApiOperation(
        f"PUT {BASE}/me/finds/{{id}}",
        id="keepFind",
        summary="Keep a song among your finds",
        description="Keeps the song of an answer. One song on one channel within 15 minutes is one find.",
        responses={"204": {"description": "It is kept."}},
        problems=(
            *CREDENTIALS,
            ProblemCode.LOGIN_REQUIRED,
            ProblemCode.CSRF,
            ProblemCode.BLACKLISTED,
            ProblemCode.NOT_FOUND,
            ProblemCode.INVALID_INPUT,
        ),
    ),
    ApiOperation(
        f"POST {BASE}/access-codes/redeem",
        id="redeemAccessCode",
        summary="Redeem an access code",
        description="Requires signing in with Twitch.",
        body="AccessCode",
        responses={"204": {"description": "Redeemed."}},
        problems=(
            *CREDENTIALS,
            ProblemCode.LOGIN_REQUIRED,
            ProblemCode.BLACKLISTED,
            ProblemCode.CODE_INVALID,
        ),
    ),
    ApiOperation(
        f"GET {BASE}/openapi.json",
        id="openapi",
        summary="This document",
        description="For generators of clients and for tools.",
        parameters=[IF_NONE_MATCH],
        responses={
            "200": content_of("OpenAPI 3.1.", "application/json", {"type": "object"}, ETAG),
            "304": NOT_MODIFIED,
        },
        problems=None,
    ),
    ApiOperation(
        "GET /healthz",
        id="healthz",
        summary="Alive",
        description="200 for as long as the process answers.",
        responses={"200": json_of("Alive", "The process answers.")},
        problems=None,
    ),
    ApiOperation(
        "GET /readyz",
        id="readyz",
        summary="Whether requests can be served",
        description="For the operator, with each dependency named.",
        responses={
            "200": json_of("Readiness", "Requests can be served."),
            "503": json_of("Readiness", "A required dependency is missing."),
        },
        problems=None,
    ),
    ApiOperation(
        "GET /metrics",
        id="metrics",
        summary="Metrics as Prometheus text",
        description="For the operator: with `TWITCHAUDIO_METRICS_TOKEN`, or from the same machine.",
        responses={"200": content_of("Text format 0.0.4.", "text/plain", TEXT)},
        problems=[ProblemCode.FORBIDDEN],
    ),
)
