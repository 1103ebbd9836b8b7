"""Decides whether two answers name the same song, and how much surer that makes the match."""

from collections.abc import Sequence
from dataclasses import replace

from fingerprint.domain.credits import artist_keys, title_key
from fingerprint.domain.identification import Song
from fingerprint.ports import Match


def merge_agreeing(mine: Sequence[Match], theirs: Sequence[Match]) -> Sequence[Match]:
    """The matches of `mine`, each with a higher score and more ids where `theirs` names the same song.

    Both would have to be wrong, so the probabilities of an error are multiplied.
    """
    agreed: list[Match] = []
    for match in mine:
        other = next((other for other in theirs if same_song(match.song, other.song)), None)
        if other is None:
            agreed.append(match)
            continue
        song = replace(
            match.song, ids=match.song.ids.filled(other.song.ids), isrc=match.song.isrc or other.song.isrc
        )
        agreed.append(Match(song=song, score=round(1 - (1 - match.score) * (1 - other.score), 4)))
    return agreed


def same_song(one: Song, other: Song) -> bool:
    """Whether two recognizers name the same recording: by ISRC, else by title and one of the artists."""
    if one.isrc and other.isrc and one.isrc.upper() == other.isrc.upper():
        return True
    same_artist = artist_keys(one.artists) & artist_keys(other.artists)
    return bool(same_artist) and title_key(one.title) == title_key(other.title)
