"""Every typed key under which the application and its requests hold something."""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from yarl import URL

from fingerprint.background import Background
from fingerprint.database import Database
from fingerprint.job_ports import JobStore
from fingerprint.links.media import LinkMedia
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Clock
from fingerprint.providers.guard import ProviderGuards
from server.access.identity.forwarding import UntrustedForwarding
from server.access.identity.operator_link import OperatorLink
from server.access.identity.session_keys import SessionKeys
from server.access.request_context import RequestContext
from server.access.service import Access
from server.artwork import ArtworkStore
from server.canary import TwitchCanary
from server.channel_names import ChannelNames
from server.channels.feed import ChannelFeed
from server.channels.forget import ChannelForgetter
from server.channels.hot_channels import HotChannels
from server.channels.play_corrections import PlayCorrections
from server.channels.set_lists import SetLists
from server.channels.song_text import SongText
from server.channels.unknowns import Unknowns
from server.channels.video_set_lists import VideoSetLists
from server.channels.watcher import Watcher
from server.identifications.encoding import Encoder
from server.identifications.service import IdentificationService
from server.learning.service import Learner
from server.observability import Counter, Metrics
from server.owner_choices.service import OwnerChoices
from server.readiness import Readiness
from server.recognizer_choices import RecognizerChoices
from server.settings import ServerSettings
from server.songs.store import SongStore
from server.vitals import Vitals
from server.webhooks.service import Webhooks

SETTINGS: Final = web.AppKey("settings", ServerSettings)
CLOCK: Final = web.AppKey("clock", Clock)
BACKGROUND: Final = web.AppKey("background", Background)
METRICS: Final = web.AppKey("metrics", Metrics)
DATABASE: Final = web.AppKey("database", Database)
JOBS: Final = web.AppKey("jobs", JobStore)
ACCESS: Final = web.AppKey("access", Access)
PROVIDERS: Final = web.AppKey("providers", ProviderGuards)
"""How the recognizers that cost something stand; the operator's pages show it."""
RECOGNIZERS: Final = web.AppKey("recognizers", RecognizerChoices)
PROBE_KEYS: Final = web.AppKey("probe_keys", SessionKeys)
"""With which `twitchaudio doctor` proves who asks; set where there is a public address."""
FORWARDING: Final = web.AppKey("forwarding", UntrustedForwarding)
"""Headers of proxies that are not trusted; the operator's pages warn of them."""
OPERATOR_LINK: Final = web.AppKey("operator_link", OperatorLink)
"""Set where no one can sign in with Twitch."""
CANARY: Final = web.AppKey("canary", TwitchCanary)
UNKNOWN: Final = web.AppKey("unknown", Counter)
"""What Twitch sent that this version does not know; the operator's pages show it."""
READINESS: Final = web.AppKey("readiness", Readiness)
VITALS: Final = web.AppKey("vitals", Vitals)
SERVICE: Final = web.AppKey("service", IdentificationService)
NAMES: Final = web.AppKey("names", ChannelNames)
FEED: Final = web.AppKey("feed", ChannelFeed)
SET_LISTS: Final = web.AppKey("set_lists", SetLists)
PIPELINE: Final[web.AppKey[Pipeline]] = web.AppKey("pipeline")
"""Set where this process works on jobs itself."""

UNKNOWNS: Final[web.AppKey[Unknowns]] = web.AppKey("unknowns")
LEARNER: Final = web.AppKey("learner", Learner)
VIDEO_SET_LISTS: Final = web.AppKey("video_set_lists", VideoSetLists)
WATCHER: Final = web.AppKey("watcher", Watcher)
FORGETTER: Final = web.AppKey("forgetter", ChannelForgetter)
HOT: Final = web.AppKey("hot", HotChannels)
SONGS: Final = web.AppKey("songs", SongStore)
ARTWORK: Final = web.AppKey("artwork", ArtworkStore)
LINK_MEDIA: Final = web.AppKey("link_media", LinkMedia)
"""Set only where the settings name a service that has covers and previews."""
CHOICES: Final = web.AppKey("choices", OwnerChoices)
PLAYS: Final = web.AppKey("plays", PlayCorrections)
SONG_TEXT: Final = web.AppKey("song_text", SongText)
WEBHOOKS: Final = web.AppKey("webhooks", Webhooks)
ENCODER: Final = web.AppKey("encoder", Encoder)
ORIGIN: Final[web.AppKey[Callable[[web.Request], URL]]] = web.AppKey("origin")
"""The website's address as the visitor of a request sees it: for every address that a page shows to be copied."""

CONTEXT: Final = web.RequestKey("context", RequestContext)
"""Whom a request is from: handlers pass it on to access control."""
