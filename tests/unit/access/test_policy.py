"""Who may ask: the policy as a table, and what holds for every combination."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.identification import Kind
from server.access.rules.policy import POLICY_CODES, Facts, Subscription, decide
from server.access.rules.website import AccessMode, WebsiteSettings
from server.access.scopes import SCOPES


def facts(kind: Kind = Kind.STREAM, *, key: str | None = None, **more: Any) -> Facts:
    scopes = None if key is None else frozenset({key})
    names = ("signed_in", "entitled", "blacklisted", "subscription", "broadcasters")
    known = {name: more.pop(name) for name in names if name in more}
    return Facts(website=WebsiteSettings(**more), kind=kind, key_scopes=scopes, **known)


SUBSCRIBERS = AccessMode.SUBSCRIBERS


def subscriber(subscription: Subscription, **more: Any) -> Facts:
    known: dict[str, Any] = {"signed_in": True, "subscription": subscription, **more}
    return facts(access_mode=SUBSCRIBERS, **known)


@pytest.mark.parametrize(
    ("given_facts", "code"),
    [
        (facts(), None),
        (facts(Kind.CLIP), None),
        (facts(Kind.VIDEO), None),
        (facts(maintenance=True), "maintenance"),
        (facts(active=False), "inactive"),
        (facts(active=False, maintenance=True), "maintenance"),
        (facts(streams_enabled=False), "streams-disabled"),
        (facts(Kind.VIDEO, streams_enabled=False), "streams-disabled"),
        (facts(Kind.CLIP, streams_enabled=False), None),
        (facts(Kind.CLIP, clips_enabled=False), "clips-disabled"),
        (facts(clips_enabled=False), None),
        (facts(access_mode=AccessMode.LOGIN), "login-required"),
        (facts(access_mode=AccessMode.SUBSCRIBERS), "login-required"),
        (facts(access_mode=AccessMode.LOGIN, signed_in=True), None),
        (facts(access_mode=AccessMode.SUBSCRIBERS, signed_in=True), "subscription-required"),
        (facts(access_mode=AccessMode.LOGIN, streams_enabled=False), "streams-disabled"),
        (facts(key="streams", access_mode=AccessMode.SUBSCRIBERS), None),
        (facts(access_mode=AccessMode.SUBSCRIBERS, signed_in=True, entitled=True), None),
        (facts(blacklisted=True), "blacklisted"),
        (facts(blacklisted=True, key="streams"), "blacklisted"),
        (facts(blacklisted=True, maintenance=True), "maintenance"),
        (facts(Kind.CLIP, blacklisted=True, clips_enabled=False), "blacklisted"),
        (facts(Kind.VIDEO, key="streams", access_mode=AccessMode.LOGIN), None),
        (facts(Kind.CLIP, key="streams"), "forbidden"),
        (facts(Kind.CLIP, key="clips", access_mode=AccessMode.LOGIN), None),
        (facts(key="clips"), "forbidden"),
        (facts(key="streams", maintenance=True), "maintenance"),
        (subscriber(Subscription.YES), None),
        (subscriber(Subscription.NO), "subscription-required"),
        (subscriber(Subscription.SCOPE_MISSING, broadcasters=("a",)), "subscription-required"),
        (subscriber(Subscription.UNKNOWN), "upstream-unavailable"),
        (subscriber(Subscription.UNKNOWN, entitled=True), None),
        (subscriber(Subscription.YES, signed_in=False), "login-required"),
        (subscriber(Subscription.UNKNOWN, signed_in=False), "login-required"),
        (subscriber(Subscription.YES, blacklisted=True), "blacklisted"),
        (subscriber(Subscription.UNKNOWN, blacklisted=True), "blacklisted"),
        (subscriber(Subscription.UNKNOWN, key="streams"), None),
        (facts(access_mode=AccessMode.LOGIN, signed_in=True, subscription=Subscription.UNKNOWN), None),
    ],
    ids=str,
)
def test_the_table(given_facts: Facts, code: str | None) -> None:
    refusal = decide(given_facts)
    assert (None if refusal is None else str(refusal.code)) == code


websites = st.builds(
    WebsiteSettings,
    access_mode=st.sampled_from(AccessMode),
    active=st.booleans(),
    maintenance=st.booleans(),
    streams_enabled=st.booleans(),
    clips_enabled=st.booleans(),
    motd=st.none(),
)
any_facts = st.builds(
    Facts,
    website=websites,
    kind=st.sampled_from([Kind.STREAM, Kind.CLIP, Kind.VIDEO]),
    signed_in=st.booleans(),
    entitled=st.booleans(),
    blacklisted=st.booleans(),
    subscription=st.sampled_from(Subscription),
    broadcasters=st.sampled_from([(), ("one",), tuple("abcdefgh")]),
    key_scopes=st.none() | st.frozensets(st.sampled_from(SCOPES)),
)


@given(any_facts)
def test_every_refusal_has_a_code_that_the_api_describes(given_facts: Facts) -> None:
    refusal = decide(given_facts)
    assert refusal is None or refusal.code in POLICY_CODES


@given(any_facts)
def test_nobody_passes_while_the_service_is_off(given_facts: Facts) -> None:
    for change in ({"maintenance": True}, {"active": False}):
        website = dataclasses.replace(given_facts.website, **change)  # type: ignore[arg-type]
        assert decide(dataclasses.replace(given_facts, website=website)) is not None


@given(any_facts)
def test_no_combination_lets_in_what_is_blacklisted(given_facts: Facts) -> None:
    assert decide(dataclasses.replace(given_facts, blacklisted=True)) is not None


PERMISSIONS = [("signed_in", True), ("entitled", True), ("subscription", Subscription.YES)]


@given(any_facts, st.sampled_from(PERMISSIONS))
def test_a_further_permission_never_removes_access(given_facts: Facts, permission: tuple[str, Any]) -> None:
    if decide(given_facts) is None:
        assert decide(dataclasses.replace(given_facts, **dict([permission]))) is None


@given(any_facts)
def test_what_twitch_does_not_say_lets_nobody_in_and_is_never_called_a_missing_subscription(
    given_facts: Facts,
) -> None:
    unknown = dataclasses.replace(given_facts, subscription=Subscription.UNKNOWN)
    refusal, without = decide(unknown), decide(dataclasses.replace(given_facts, subscription=Subscription.NO))
    if refusal is None:
        assert without is None
    else:
        assert refusal.code != "subscription-required"


@given(any_facts)
def test_what_is_refused_says_what_would_help(given_facts: Facts) -> None:
    refusal = decide(given_facts)
    assert refusal is None or refusal.detail.endswith(".")


def test_the_sentence_names_the_broadcasters_and_tells_a_missing_permission_apart() -> None:
    def said(subscription: Subscription, *broadcasters: str) -> str:
        refusal = decide(subscriber(subscription, broadcasters=broadcasters))
        assert refusal is not None
        return refusal.detail

    assert "neon, harbour" in said(Subscription.NO, "neon", "harbour")
    assert "e or 3 more" in said(Subscription.NO, *"abcdefgh")
    assert "e or 1 more" in said(Subscription.NO, *"abcdef")
    assert "more" not in said(Subscription.NO, *"abcde")
    assert "Sign in again" in said(Subscription.SCOPE_MISSING, "neon")
    assert "invite-only" in said(Subscription.NO)
    assert "Twitch is not telling us" in said(Subscription.UNKNOWN, "neon")


@given(any_facts, st.sampled_from(SCOPES))
def test_a_further_scope_never_removes_access(given_facts: Facts, scope: str) -> None:
    scopes = given_facts.key_scopes
    if scopes is not None and decide(given_facts) is None:
        assert decide(dataclasses.replace(given_facts, key_scopes=scopes | {scope})) is None
