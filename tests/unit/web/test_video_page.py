"""The page of a VOD's set list: what it says about how far it is."""

from dataclasses import dataclass
from pathlib import Path

import jinja2
import pytest

import server.web
from fingerprint.domain.tracklist import Tracklist
from server.channels.video_set_list import SetListStatus
from server.web.languages import ENGLISH, translate_templates


@dataclass(frozen=True, slots=True)
class SetListSoFar:
    status: SetListStatus
    tracklist: Tracklist


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (SetListStatus.QUEUED, "Waiting in line."),
        (SetListStatus.RUNNING, "Listened to 1:00. 0 songs."),
        (SetListStatus.SUCCESSFUL, "Listened to all of it. 0 songs."),
    ],
)
def test_songs_are_counted_once_it_is_listened_to(status: SetListStatus, said: str) -> None:
    templates = jinja2.FileSystemLoader(Path(server.web.__file__).parent / "templates")
    base = jinja2.DictLoader({"base.html": "{% block main %}{% endblock %}"})
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([base, templates]), extensions=["jinja2.ext.i18n"], autoescape=True
    )
    translate_templates(environment, ENGLISH)
    found = SetListSoFar(status, Tracklist())
    page = environment.get_template("video.html").render(
        found=found, working=not status.finished, position="1:00", rows=[]
    )
    assert f'<p class="count" role="status">{said}</p>' in page
