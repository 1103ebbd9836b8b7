"""Recorded shapes of providers' answers, written here from their documentation: no captured answer."""

from typing import Any, Final

ACR_TRACK: Final[dict[str, Any]] = {
    "title": "Paper Lanterns",
    "acrid": "0123456789abcdef0123456789abcdef",
    "score": 96,
    "result_from": 3,
    "artists": [{"name": "Mira Holt"}, {"name": "The Low Tide"}],
    "album": {"name": "Harbour Songs"},
    "label": "Example Records",
    "release_date": "2021-05-14",
    "duration_ms": 214000,
    "play_offset_ms": 83460,
    "genres": [{"name": "Pop"}],
    "language": "en",
    "external_ids": {"isrc": "ZZN992100042", "upc": "0000000000017"},
    "external_metadata": {
        "spotify": {
            "track": {"id": "AAAAAAAAAAAAAAAAAAAAA1"},
            "album": {"id": "AAAAAAAAAAAAAAAAAAAAA2"},
            "artists": [{"id": "AAAAAAAAAAAAAAAAAAAAA3"}, {"id": "AAAAAAAAAAAAAAAAAAAAA4"}],
        },
        "deezer": {"track": {"id": "900000001"}, "album": {"id": 900000002}, "artists": [{"id": "900000003"}]},
        "youtube": {"vid": "abcdefghijk"},
    },
    "db_begin_time_offset_ms": 77600,
    "db_end_time_offset_ms": 83300,
    "sample_begin_time_offset_ms": 120,
    "sample_end_time_offset_ms": 5820,
}

AUDD_RESULT: Final[dict[str, Any]] = {
    "artist": "Mira Holt & The Low Tide",
    "title": "Paper Lanterns",
    "album": "Harbour Songs",
    "release_date": "2021-05-14",
    "label": "Example Records",
    "timecode": "01:17",
    "song_link": "https://lis.tn/PaperLanterns",
    "isrc": "ZZN992100042",
    "apple_music": {
        "url": "https://music.apple.com/us/album/_/1440933840?app=music&at=x&i=1440933849",
        "isrc": "ZZN992100042",
        "durationInMillis": 214000,
        "name": "Paper Lanterns",
        "artistName": "Mira Holt & The Low Tide",
        "albumName": "Harbour Songs",
    },
    "spotify": {
        "id": "AAAAAAAAAAAAAAAAAAAAA1",
        "duration_ms": 214000,
        "album": {"id": "AAAAAAAAAAAAAAAAAAAAA2", "name": "Harbour Songs"},
        "artists": [
            {"id": "AAAAAAAAAAAAAAAAAAAAA3", "name": "Mira Holt"},
            {"id": "AAAAAAAAAAAAAAAAAAAAA4", "name": "The Low Tide"},
        ],
        "external_ids": {"isrc": "ZZN992100042"},
        "external_urls": {"spotify": "https://open.spotify.com/track/AAAAAAAAAAAAAAAAAAAAA1"},
    },
    "deezer": {
        "id": 900000001,
        "duration": 214,
        "link": "https://www.deezer.com/track/900000001",
        "album": {"id": 900000002},
        "artist": {"id": 900000003, "name": "Mira Holt"},
    },
}

SHAZAM_ANSWER: Final[dict[str, Any]] = {
    "matches": [{"id": "5001", "offset": 77.46, "timeskew": 0.0001, "frequencyskew": 0.0}],
    "timestamp": 1,
    "tagid": "X",
    "track": {
        "key": "5001",
        "title": "Paper Lanterns",
        "subtitle": "Mira Holt & The Low Tide",
        "isrc": "ZZN992100042",
        "sections": [
            {
                "type": "SONG",
                "metadata": [
                    {"title": "Album", "text": "Harbour Songs"},
                    {"title": "Label", "text": "Example Records"},
                    {"title": "Released", "text": "2021"},
                ],
            }
        ],
        "hub": {"type": "APPLEMUSIC", "actions": [{"type": "applemusicplay", "id": "1440933849"}]},
    },
}
