"""The table of cases for names, titles and releases; docs/providers.md describes the rules."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.credits import (
    Release,
    artist_keys,
    artist_names,
    credits_of,
    is_performing,
    release_orders,
    title_key,
)

MIRA, TIDE, JONAS = "Mira Holt", "The Low Tide", "Jonas Vee"

NAMES: list[tuple[str, tuple[str, ...]]] = [
    ("", ()),
    ("  ", ()),
    ("Mira Holt", (MIRA,)),
    # Signs that always separate.
    ("Mira Holt; The Low Tide", (MIRA, TIDE)),
    ("Mira Holt;The Low Tide;", (MIRA, TIDE)),
    ("Mira Holt\0The Low Tide", (MIRA, TIDE)),
    ("Mira Holt / The Low Tide", (MIRA, TIDE)),
    ("Mira Holt/The Low Tide/Jonas Vee", (MIRA, TIDE, JONAS)),
    ("Dax/Lumi/Vee", ("Dax", "Lumi", "Vee")),
    ("A/B/C", ("A", "B", "C")),
    ("Mira Holt | The Low Tide", (MIRA, TIDE)),
    ("Mira Holt x The Low Tide", (MIRA, TIDE)),
    ("Mira Holt \xd7 The Low Tide", (MIRA, TIDE)),
    ("Mira Holt vs. The Low Tide", (MIRA, TIDE)),
    ("Mira Holt vs The Low Tide", (MIRA, TIDE)),
    ("Mira Holt Vs. The Low Tide", (MIRA, TIDE)),
    # Guests.
    ("Mira Holt feat. The Low Tide", (MIRA, TIDE)),
    ("Mira Holt feat.The Low Tide", (MIRA, TIDE)),
    ("Mira Holt (feat. The Low Tide)", (MIRA, TIDE)),
    ("Mira Holt [ft. The Low Tide]", (MIRA, TIDE)),
    ("Mira Holt ft The Low Tide", (MIRA, TIDE)),
    ("Mira Holt, feat. The Low Tide", (MIRA, TIDE)),
    ("Mira Holt Featuring The Low Tide", (MIRA, TIDE)),
    ("Mira Holt w/ The Low Tide", (MIRA, TIDE)),
    ("Mira Holt feat. The Low Tide, Jonas Vee & Lumi", (MIRA, TIDE, JONAS, "Lumi")),
    ("feat. The Low Tide", (TIDE,)),
    # Lists.
    ("Mira Holt, Jonas Vee", (MIRA, JONAS)),
    ("Mira Holt, The Low Tide & Jonas Vee", (MIRA, TIDE, JONAS)),
    ("Mira Holt, Jonas Vee & The Low Tide", (MIRA, JONAS, TIDE)),
    ("Mira Holt, Dax, and Jonas Vee", (MIRA, "Dax", JONAS)),
    ("Mira Holt, The Low Tide", (MIRA, TIDE)),
    ("Sammy Davis, Jr. & Mira Holt", ("Sammy Davis, Jr.", MIRA)),
    ("Sammy Davis, Jr., Mira Holt & Jonas Vee", ("Sammy Davis, Jr.", MIRA, JONAS)),
    ("Drake, Future, Tems", ("Drake", "Future", "Tems")),
    ("A, B & C", ("A", "B", "C")),
    # Roles.
    ("Mira Holt (vocals); Jonas Vee (composer)", (MIRA,)),
    ("Main Artist: Mira Holt; Producer: Jonas Vee", (MIRA,)),
    ("Jonas Vee (composer)", (JONAS,)),
    ("Mira Holt (prod. by Jonas Vee)", (MIRA,)),
    ("Mira Holt prod. by Jonas Vee", (MIRA,)),
    # Each once.
    ("Twice; Twice; TWICE", ("Twice",)),
    # Signs that are part of a name.
    *[
        (name, (name,))
        for name in (
            "AC/DC",
            "ac/dc",
            "M/A/R/R/S",
            "De/Vision",
            "+44",
            "+/-",
            "24/7",
            "Earth, Wind & Fire",
            "Crosby, Stills & Nash",
            "Crosby, Stills, Nash & Young",
            "Emerson, Lake & Palmer",
            "Peter, Paul and Mary",
            "Blood, Sweat & Tears",
            "Tyler, The Creator",
            "The Good, the Bad & the Queen",
            "Dave Dee, Dozy, Beaky, Mick & Tich",
            "Simon & Garfunkel",
            "Nick Cave & The Bad Seeds",
            "Florence + The Machine",
            "Earth, Wind and Fire",
            "Medeski, Martin & Wood",
            "Daryl Hall & John Oates",
            "The Mamas & The Papas",
            "Bob Marley & The Wailers",
            "Axwell /\\ Ingrosso",
            "Chloe x Halle",
            "Sunn O)))",
            "Panic! At The Disco",
            "Portugal. The Man",
            "Sleeping With Sirens",
            "Bone Thugs-N-Harmony",
            "P!nk",
            "M|O|O|N",
            "Death Cab for Cutie",
            "will.i.am",
            "Huey Lewis and the News",
            "Hank Williams, Jr.",
            "Lipps, Inc.",
            "10,000 Maniacs",
            "Bach, Johann",
            "Featherweight",
            "Gift Shop",
            "Little Feat",
            "Lil Nas X",
            "TOMORROW X TOGETHER",
            "X Ambassadors",
            "Versus",
            "Band (DE)",
            "!!!",
            "夜に駆ける",
        )
    ],
    # Both in one text.
    ("Lil Nas X feat. Jonas Vee", ("Lil Nas X", JONAS)),
    ("AC/DC/Mira Holt", ("AC/DC", MIRA)),
    ("AC/DC & Mira Holt", ("AC/DC", MIRA)),
    ("Tyler, The Creator, Mira Holt & Jonas Vee", ("Tyler, The Creator", MIRA, JONAS)),
    ("Earth, Wind & Fire feat. Mira Holt", ("Earth, Wind & Fire", MIRA)),
    ("Little Feat feat. Mira Holt", ("Little Feat", MIRA)),
    ("Simon & Garfunkel; Mira Holt", ("Simon & Garfunkel", MIRA)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names"), NAMES)
def test_artists_are_split_where_they_are_separated(text: str, names: tuple[str, ...]) -> None:
    assert artist_names(text) == names
    assert artist_names(*names) == names, "names that were split stay as they are"


@pytest.mark.parametrize(
    ("title", "artists", "plain", "named"),
    [
        ("Paper Lanterns", (MIRA,), "Paper Lanterns", (MIRA,)),
        ("Paper Lanterns (feat. The Low Tide)", (MIRA,), "Paper Lanterns", (MIRA, TIDE)),
        ("Paper Lanterns (feat. The Low Tide)", (MIRA, TIDE), "Paper Lanterns", (MIRA, TIDE)),
        ("Paper Lanterns [ft. The Low Tide]", (MIRA,), "Paper Lanterns", (MIRA, TIDE)),
        ("Paper Lanterns (Featuring The Low Tide) [Remix]", (MIRA,), "Paper Lanterns [Remix]", (MIRA, TIDE)),
        ("Paper Lanterns feat. The Low Tide", (MIRA,), "Paper Lanterns", (MIRA, TIDE)),
        ("Paper Lanterns - feat. The Low Tide", (MIRA,), "Paper Lanterns", (MIRA, TIDE)),
        ("Paper Lanterns ft. The Low Tide (Live)", (MIRA,), "Paper Lanterns (Live)", (MIRA, TIDE)),
        (
            "Paper Lanterns (feat. The Low Tide) - Remastered",
            (MIRA,),
            "Paper Lanterns - Remastered",
            (MIRA, TIDE),
        ),
        ("Paper Lanterns (feat. Dax (DE))", (MIRA,), "Paper Lanterns", (MIRA, "Dax (DE)")),
        ("Paper Lanterns (with Jonas Vee)", (MIRA, JONAS), "Paper Lanterns", (MIRA, JONAS)),
        ("Dance (With Me)", (MIRA,), "Dance (With Me)", (MIRA,)),
        ("Paper Lanterns feat Jonas Vee", (MIRA,), "Paper Lanterns", (MIRA, JONAS)),
        ("What a feat it was", (MIRA,), "What a feat it was", (MIRA,)),
        ("Six ft under", (MIRA,), "Six ft under", (MIRA,)),
        ("No Small Feat", (MIRA,), "No Small Feat", (MIRA,)),
        ("10 ft. Tall", (MIRA,), "10 ft. Tall", (MIRA,)),
        ("(feat. The Low Tide)", (MIRA,), "(feat. The Low Tide)", (MIRA,)),
        ("Song", ("Mira Holt/Jonas Vee",), "Song", (MIRA, JONAS)),
    ],
)
def test_guests_in_titles_are_artists(
    title: str, artists: tuple[str, ...], plain: str, named: tuple[str, ...]
) -> None:
    found = credits_of(title, artists)
    assert (found.title, found.artists) == (plain, named)
    again = credits_of(found.title, found.artists)
    assert (again.title, again.artists) == (plain, named)


@pytest.mark.parametrize(
    ("role", "performs"),
    [("MainArtist", True), ("FeaturedArtist", True), ("Featured", True), ("Remixer", True), ("", True)]
    + [(role, False) for role in ("Composer", "composer", "Lyricist", "Producer", "SongWriter", "Writers")],
)
def test_writers_do_not_perform(role: str, performs: bool) -> None:
    assert is_performing(role) is performs


def test_names_are_compared_whole_and_in_parts() -> None:
    one = artist_keys(("Mira Holt & The Low Tide",))
    assert one & artist_keys((MIRA, TIDE))
    assert one & artist_keys(("MIRA HOLT",))
    assert artist_keys(("Sigur Rós",)) == artist_keys(("sigur ros",))
    assert not artist_keys((MIRA,)) & artist_keys((JONAS,))


@pytest.mark.parametrize(
    "other",
    [
        "paper lanterns",
        "Paper Lanterns (Live)",
        "Paper Lanterns - Remastered 2011",
        "Paper Lanterns - 2011 Remaster",
        "Paper Lanterns [Radio Edit]",
        "Paper Lanterns (feat. The Low Tide)",
        "Paper Lanterns feat. The Low Tide",
        "Páper Lanterns!",
    ],
)
def test_a_title_is_compared_without_its_version(other: str) -> None:
    assert title_key(other) == title_key("Paper Lanterns")


def test_different_titles_stay_different() -> None:
    assert len({title_key(title) for title in ("(((", "!!!", "One", "One - Two", "夜に駆ける")}) == 5


def release(album: str | None, date: str | None = None, **more: object) -> Release:
    return Release(title="Paper Lanterns", album=album, date=date, **more)  # type: ignore[arg-type]


BEST_FIRST: dict[str, list[Release]] = {
    "the album before all others": [
        release("Harbour Songs", "2021-05-14"),
        release("Harbour Songs (Deluxe Edition)", "2022-05-14"),
        release("Paper Lanterns - Single", "2021-03-01"),
        release("Harbour (Original Motion Picture Soundtrack)", "2021-04-01"),
        release("Now That's What I Call Music! 108", "2021-04-02"),
    ],
    "the single before compilations": [
        release("Paper Lanterns", "2021-03-01"),
        release("Summer Hits 2021", "2021-06-01"),
        release("Mira Holt: Greatest Hits", "2030-01-01"),
    ],
    "the single before the album is the single": [
        release("Harbour Songs", "2021-05-14"),
        release("Paper Lanterns", "2021-03-01"),
    ],
    "a title song's album": [release("Paper Lanterns", "1982-11-30"), release("Her Story", "1995-06-20")],
    "the earliest album": [
        release("Harbour Songs", "2021"),
        release("Second Harbour", "2024-01-01"),
        release("Undated"),
        release("Harbour", "1970-01-01"),
    ],
    "the plain edition": [
        release("Harbour Songs", "2021-05-14"),
        release("Harbour Songs (Remastered)", "2021-05-14"),
    ],
    "what the service says of a release": [
        release("Harbour Songs", "2022-01-01", kind="album"),
        release("Lights", "2021-01-01", kind="single"),
        release("Lights Out", "2020-01-01", kind="compilation"),
    ],
    "various artists": [release("Harbour Songs"), release("Lights", album_artists=("Various Artists",))],
    "official": [
        release("Harbour Songs", "2022"),
        release("Harbour Songs", "2020", status="Bootleg"),
    ],
    "no imitation": [release("Greatest Hits"), release("A Tribute to Mira Holt"), release("Karaoke Party")][:2],
    "a compilation before a mix": [release("Best of Mira Holt"), release("Night (DJ Mix)", "2001")],
    "a known album before none": [release("Harbour Songs"), release(None)],
}  # fmt: skip


@pytest.mark.parametrize("case", BEST_FIRST)
def test_the_release_to_show(case: str) -> None:
    releases = BEST_FIRST[case]
    shuffled = releases[:]
    random.Random(case).shuffle(shuffled)
    orders = release_orders(shuffled)
    assert shuffled[orders.index(min(orders))] == releases[0]


@pytest.mark.parametrize(
    "sign", [" ", "\t\n ", "(", "(feat. ", ", a", " & ", "a/", "AC/DC, ", " - feat. ", "a ( "]
)
def test_long_texts_of_signs_take_no_time(sign: str) -> None:
    text = sign * 100_000
    started = time.process_time()
    credits_of(f"T{text}x", (text,))
    title_key(text)
    artist_keys((text,))
    release_orders([Release(title=text, album=text)])
    assert time.process_time() - started < 2.0, "a fault takes minutes"


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_read(title: str, artists: str) -> None:
    found = credits_of(title, (artists,))
    assert all(name.strip() for name in found.artists)
    assert bool(found.title) == bool(title.strip())
    title_key(title)
    artist_keys((artists,))
    release_orders([Release(title=title, album=artists, date=artists)])
