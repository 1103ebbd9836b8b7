"""The JSON of a user's own finds."""

from typing import Annotated

from msgspec import Meta, Struct

from server.api.json_forms import form_of
from server.api.json_times import Time
from server.songs.finds import Find


class FindJson(Struct, kw_only=True):
    """A song that was found, and where."""

    id: Annotated[str, Meta(description="The identification's.")]
    song_id: Annotated[str, Meta(description="The song's, for `/api/v1/songs/{id}`.")]
    title: str
    artists: Annotated[str, Meta(description="Separated by commas.")]
    source: Annotated[str, Meta(description="The channel; else the clip's slug or the video's number.")]
    found_at: Time

    @classmethod
    def of(cls, find: Find) -> "FindJson":
        """The form of a find."""
        return form_of(cls, find, id=find.identification_id)


class FindsJson(Struct, kw_only=True):
    """A user's own finds, newest first."""

    finds: list[FindJson]
