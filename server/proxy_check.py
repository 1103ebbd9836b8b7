"""Checks of what is in front of the server: its public address, the proxies behind it, and Twitch's way back."""

from dataclasses import dataclass
from typing import Final

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientError,
    ClientSession,
    ClientTimeout,
)
from yarl import URL

from fingerprint.step_report import Outcome, Verdict
from server.access.identity.session_keys import FILE, SessionKeys, kept_keys
from server.api.proxy_probe import ASKED, SEEN, Arrival, read_arrival, sealed_question
from server.settings import ServerSettings

_SECONDS: Final = 8.0
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_UNREACHED: Final = (502, 503, 504)
_UNSET: Final = "no public address is set (TWITCHAUDIO_BASE_URL); without a proxy, none is needed"
_UNSET_BEHIND_PROXY: Final = (
    "TWITCHAUDIO_BASE_URL is not set: the address that Twitch sends people back to depends on X-Forwarded-Proto "
    "and X-Forwarded-Host, which not every proxy sends. Set it to the address that people see."
)
_SHARED: Final = "all visitors share its address and limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressReply:
    """What came back from `/healthz` at the public address. `ours`: it looks like this server's."""

    status: int
    location: str = ""
    seen: str | None = None
    ours: bool = False


async def check_public_address(settings: ServerSettings) -> Verdict:
    """What comes of a request to the website's address: whether this server answers, and what its proxies add."""
    base = settings.base_url
    if base is None:
        missing = settings.trusted_proxies != () and settings.twitch_client_secret is not None
        return (Outcome.DIFFERS, (_UNSET_BEHIND_PROXY,)) if missing else (Outcome.SKIPPED, (_UNSET,))
    if not settings.session_keys and not (settings.pipeline.data_dir / FILE).exists():
        return Outcome.SKIPPED, (f"no server has run yet with this data folder and {base}",)
    session_keys = SessionKeys(kept_keys(settings.session_keys, settings.pipeline.data_dir))
    try:
        return judge_reply(await _ask(base / "healthz", sealed_question(session_keys)), base)
    except ClientConnectorCertificateError as error:
        return Outcome.FAILED, (
            f"The certificate of {base} is not one that browsers accept: {error.certificate_error}.",
        )
    except (ClientError, TimeoutError) as error:
        reason = "no such host" if isinstance(error, ClientConnectorDNSError) else str(error) or "no answer"
        note = f"{base} cannot be reached from here: {reason}. Are the server and its proxy running?"
        return Outcome.DIFFERS, (note,)


async def _ask(address: URL, question: str) -> AddressReply:
    async with (
        ClientSession(timeout=ClientTimeout(total=_SECONDS)) as session,
        session.get(address, headers={ASKED: question}, allow_redirects=False) as response,
    ):
        return AddressReply(
            status=response.status,
            location=response.headers.get("Location", ""),
            seen=response.headers.get(SEEN),
            ours=(await response.content.read(100)).startswith(b'{"status":'),
        )


def judge_reply(reply: AddressReply, base: URL) -> Verdict:
    """What is said about the answer at the public address `base`."""
    address = base / "healthz"
    if reply.status in _REDIRECTS:
        there = address.join(URL(reply.location)).with_query(None).with_fragment(None)
        there = there.with_path(there.path.removesuffix("/").removesuffix("/healthz") or "/")
        note = f"{base} leads to {there}: set TWITCHAUDIO_BASE_URL to the address that people end up at."
    elif reply.status in _UNREACHED and not reply.ours:
        note = f"The proxy at {base} does not reach the server: it answers {reply.status}."
    elif reply.status != 200 or not reply.ours:
        note = (
            f"{address} answers {reply.status}, and not as this server does: does the proxy lead to it, and pass "
            "the path on as it is?"
        )
    elif (arrival := read_arrival(reply.seen)) is None:
        note = (
            f"Another server answers at {base}, or this one with other settings: TWITCHAUDIO_SESSION_KEY, the "
            "data folder and TWITCHAUDIO_BASE_URL must be those of the server. Restart it after a change."
        )
        return Outcome.DIFFERS, (note,)
    else:
        return judge_arrival(arrival, base)
    return Outcome.FAILED, (note,)


def judge_arrival(arrival: Arrival, base: URL) -> Verdict:
    """What is said about how a request of our own has reached the server by its public address `base`."""
    if arrival.forwarded is not None and arrival.trusted:
        return Outcome.OK, (f"{base} by way of {arrival.peer}, which is trusted",)
    if arrival.forwarded is not None:
        note = (
            f"The proxy at {arrival.peer} is not in TWITCHAUDIO_TRUSTED_PROXIES, so its X-Forwarded-For is "
            f"ignored, and {_SHARED}: add it there."
        )
    elif arrival.others:
        note = (
            f"The proxy at {arrival.peer} sends {' and '.join(arrival.others)}, but not X-Forwarded-For, which is "
            f"the only one that is read, so {_SHARED}: let it send that."
        )
    elif base.scheme == "https":
        note = (
            f"The proxy at {arrival.peer} sends no X-Forwarded-For, so {_SHARED}. With nginx: "
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        )
    else:
        return Outcome.OK, (f"{base}, without a proxy",)
    return Outcome.FAILED, (note,)


async def check_redirect(settings: ServerSettings, redirect: URL) -> Verdict | None:
    """What is wrong with the address that Twitch sends people back to, as Twitch says; None when nothing is."""
    question = (settings.twitch_id_url / "oauth2" / "authorize").with_query(
        client_id=settings.twitch_client_id or "", redirect_uri=str(redirect), response_type="code", scope=""
    )
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=_SECONDS)) as session,
            session.get(question, allow_redirects=False) as response,
        ):
            status, location = response.status, response.headers.get("Location", "")
            body = (await response.content.read(2_000)).decode(errors="replace")
    except (ClientError, TimeoutError):
        return Outcome.DIFFERS, ("Twitch could not be asked about the redirect address.",)
    if "redirect_mismatch" not in location + body and not (status == 400 and "redirect_uri" in body):
        return None
    return Outcome.FAILED, (
        f"Twitch does not know {redirect}: add exactly this to the OAuth redirect URLs of the application in its "
        "developer console. Scheme, host, port and path all count.",
    )
