"""The JSON of webhooks; see `json_forms`."""

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec import field as form_field

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import channel_target
from server.api.json_forms import RequestBody, form_of
from server.api.json_times import Time
from server.webhooks.messages import CHOSEN, EventType, Webhook
from server.webhooks.sender import URL_LIMIT

MOST_CHANNELS: Final = 50
"""How many channels a webhook may name."""


class WebhookWish(RequestBody):
    """An address that is to be told of events."""

    url: Annotated[str, Meta(max_length=URL_LIMIT, description="An https address at a public host.")]
    events: Annotated[
        list[str],
        Meta(description="`play.started`, `play.updated`, `identification.finished`; all when left out."),
    ] = form_field(default_factory=list[str])
    channels: Annotated[
        list[str], Meta(description="The channels whose plays are sent, by name or address; at most 50.")
    ] = form_field(default_factory=list[str])

    def chosen(self) -> tuple[EventType, ...]:
        """The events. Raises TwitchAudioError `invalid-input`."""
        unknown = sorted(set(self.events) - set(CHOSEN))
        if unknown:
            raise invalid_input(f'"events" takes {", ".join(CHOSEN)}, not {unknown[0][:50]!r}.')
        return tuple(event for event in CHOSEN if not self.events or event in self.events)

    def logins(self) -> tuple[str, ...]:
        """The logins of the channels. Raises TwitchAudioError `invalid-input`."""
        logins = tuple(dict.fromkeys(channel_target(each).login for each in self.channels))
        if len(logins) > MOST_CHANNELS:
            raise invalid_input(f'"channels" takes at most {MOST_CHANNELS} of them.')
        if self.events and EventType.IDENTIFICATION not in self.events and not logins:
            raise invalid_input('Plays are told of the channels in "channels": name at least one.')
        return logins


class WebhookJson(Struct, kw_only=True):
    """An address that is told of events."""

    id: str
    url: str
    events: list[str]
    channels: list[str]
    secret: Annotated[
        str | None, Meta(description="For checking signatures: `whsec_...`. It is shown only once.")
    ] = None
    state: Annotated[str, Meta(extra_json_schema={"enum": ["active", "failing", "disabled"]})]
    created_at: Time
    last_delivery_at: Time | None = None
    failing_since: Time | None = None
    last_error: str | None = None
    disabled: Annotated[str | None, Meta(description="Why nothing is sent any more; PUT it again to go on.")] = (
        None
    )

    @classmethod
    def of(cls, webhook: Webhook, *, secret: str | None = None) -> "WebhookJson":
        failing = "active" if webhook.failing_since is None else "failing"
        return form_of(cls, webhook, secret=secret, state=failing if webhook.disabled is None else "disabled")


class WebhooksJson(Struct, kw_only=True):
    """The caller's webhooks."""

    webhooks: list[WebhookJson]


class WebhookTestJson(Struct, kw_only=True):
    """What came of a test message."""

    delivered: bool
    status: Annotated[int | None, Meta(description="The HTTP status of the address's answer, if there was one.")]
    detail: Annotated[str | None, Meta(description="What was wrong.")]
