# ruff: noqa: RUF001 - letters that look alike are what this is about
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.legacy_encodings import western
from fingerprint.catalog.legacy_text import UnknownEncodingError, decode_text
from fingerprint.catalog.mojibake import repaired

RIGHT = [
    "Motörhead", "Björk", "Sigur Rós", "Beyoncé", "Ænima", "été", "ÅÄÖ", "Öö", "Jäääär", "NÃO É", "Ãlbum",
    "Mötley Crüe - Dr. Feelgood", "Çà et là", "ÄÖÜ", "Ágætis byrjun", "Señorita", "Où es-tu ?", "½ Mensch",
    "¿Qué?", "À la vie",
    "«Été»", "Кино", "Группа крови", "Ленинград – WWW", "日本",
    "初音ミク", "방탄소년단", "Ελλάδα", "Đorđe", "Łódź", "(¯°•°¯)",
    "Don’t", "“Heroes”", "Â", "ÿ", "þæð", "ÆØÅ", "Íslands", "öäü ÖÄÜ", "naïve café – déjà vu", "Dvořák", "\u200bx",
    "ÉÉ ÀÉ", "Ça va ?", "ÎLE", "ÜBER", "Ærø", "Año Nuevo", "3½ Minuten", "Nº 1", "£100", "© 2021", "°C", "¡Olé!",
    "Ñandú", "Žižek", "Ağaç", "Çığlık", "Şıkıdım", "Příliš žluťoučký kůň", "Zażółć gęślą jaźń", "Ștefan",
    "Árvíztűrő tükörfúrógép", "Ćevapčići", "Pähkinä", "Õhtu", "Līgo", "Žąsis", "Tiếng Việt", "العربية", "עברית",
    "हिन्दी", "ไทย", "Ξένος", "Україна", "周杰伦 - 青花瓷", "鄧麗君", "방탄소년단 (BTS)", "さくら", "«Où ?»", "A×B",
    "Sóley – Ég ég ég", "Ø", "Åå", "ÖÖ ÄÄ ÜÜ", "ÀÈÌÒÙ", "½½ ¼¼", "°±²³", "¿¿¿¿", "§§ ¶¶", "«»«»", "Àlbum Àrtist",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_text_stays(text: str) -> None:
    assert repaired([text]) == [text]


CYRILLIC = ["Кино", "Группа крови", "АЛИСА", "Ленинград - Экспонат", "Ёлка (feat. Баста)", "Океан Ельзи — Обійми"]
JAPANESE = ["初音ミク", "千本桜 (Remix)", "日本", "さくら", "アニメ主題歌 OP1"]
EUROPEAN = ["Beyoncé", "Motörhead", "Sigur Rós", "Don’t", "“Heroes”", "Français", "Łódź", "Кино", "日本"]


@pytest.mark.parametrize("text", CYRILLIC)
def test_cyrillic_read_as_latin_1_is_repaired(text: str) -> None:
    assert repaired([text.encode("cp1251").decode("latin-1")]) == [text]


@pytest.mark.parametrize("text", JAPANESE)
def test_japanese_read_as_latin_1_is_repaired(text: str) -> None:
    assert repaired([text.encode("cp932").decode("latin-1")]) == [text]


OTHERS = {
    "koi8-r": ["Кино", "Группа крови", "АЛИСА", "Земфира - Искала", "Звезда по имени Солнце"],
    "gbk": ["周杰伦", "青花瓷", "月亮代表我的心", "邓丽君 - 甜蜜蜜", "你好", "中国"],
    "big5": ["周杰倫", "青花瓷", "月亮代表我的心", "鄧麗君 - 甜蜜蜜"],
    "euc_kr": ["방탄소년단", "아이유 - 좋은 날", "소녀시대", "사랑해", "밤편지"],
}


@pytest.mark.parametrize(("encoding", "text"), [(name, text) for name, texts in OTHERS.items() for text in texts])
def test_text_of_other_countries_read_as_latin_1_is_repaired(encoding: str, text: str) -> None:
    assert repaired([text.encode(encoding).decode("latin-1")]) == [text]
    table = f"file,title\nsong.flac,{text}\n" * 3
    assert decode_text(table.encode(encoding)) == table


@pytest.mark.parametrize(
    "text",
    [
        *("שלום עולם", "אהבה ראשונה", "הבה נגילה", "ימים לבנים", "תמונות מהחיים", "כמו צועני", "עוף גוזל", "מלאך"),
        *("יהודה פוליקר", "אייל גולן", "ירושלים של זהב"),
    ],
)
def test_hebrew_is_repaired_and_not_taken_for_cyrillic(text: str) -> None:
    read = text.encode("cp1255").decode("latin-1")
    assert repaired([read]) == [text]
    assert not re.search("[\u0400-\u04ff]", decode_text(f"file,title\n1.mp3,{text}\n".encode("cp1255")))


@pytest.mark.parametrize(
    "text", ["ветер ночи", "город дорог", "мой город", "молитва", "группа крови", "белый шум"]
)
def test_cyrillic_in_small_letters_alone_is_repaired(text: str) -> None:
    assert repaired([text.encode("cp1251").decode("latin-1")]) == [text]


@pytest.mark.parametrize("text", EUROPEAN)
def test_utf_8_read_as_latin_1_is_repaired(text: str) -> None:
    assert repaired([text.encode().decode("latin-1")]) == [text]


@pytest.mark.parametrize("text", ["Don’t Stop", "It’s a Sin – Live", "“Heroes”", "Œuvre…"])
def test_windows_1252_read_as_latin_1_is_repaired(text: str) -> None:
    assert repaired([text.encode("cp1252").decode("latin-1")]) == [text]


TITLES = Path(__file__).with_name("titles")
RECALL = {
    ("greek", "cp1253"): 62,
    ("greek", "iso8859_7"): 62,
    ("polish", "cp1250"): 57,
    ("polish", "iso8859_2"): 55,
    ("czech", "cp1250"): 56,
    ("czech", "iso8859_2"): 41,
    ("hungarian", "cp1250"): 57,
    ("turkish", "cp1254"): 60,
    ("hebrew", "cp1255"): 64,
    ("arabic", "cp1256"): 63,
    ("thai", "cp874"): 62,
    ("korean", "cp949"): 63,
    ("chinese", "gbk"): 63,
    ("taiwan", "big5"): 58,
    ("russian", "cp1251"): 63,
    ("russian", "koi8_r"): 58,
    ("russian", "cp866"): 56,
    ("japanese", "cp932"): 58,
    ("japanese", "euc_jp"): 55,
}
"""Of 59 to 64 files with an artist and a title each, how many are wholly put right, at least."""


def titles(name: str) -> list[list[str]]:
    return [line.split("\t") for line in (TITLES / f"{name}.txt").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("language", "encoding"), RECALL)
def test_artists_and_titles_of_a_language_are_repaired_or_left(language: str, encoding: str) -> None:
    right = wrong = 0
    for texts in titles(language):
        try:
            contents = [text.encode(encoding) for text in texts]
        except UnicodeEncodeError:
            continue
        read = [content.decode("latin-1") for content in contents]
        found = repaired(read)
        right += found == texts
        wrong += any(
            one not in (text, western(content)) for one, text, content in zip(found, texts, contents, strict=True)
        )
    assert right >= RECALL[language, encoding]
    assert wrong == 0


def test_no_right_western_text_is_changed() -> None:
    texts = [text for (text,) in titles("western") if not text.isascii()]
    assert len(texts) >= 600
    assert [text for text in texts if repaired([text]) != [text]] == []


@pytest.mark.parametrize("language", ["russian", "greek", "polish", "turkish", "czech", "hungarian", "japanese"])
def test_right_unicode_stays(language: str) -> None:
    assert all(repaired(texts) == texts for texts in titles(language))


def test_letters_that_were_garbled_twice_are_repaired() -> None:
    text = "Группа крови"
    once = text.encode("cp1251").decode("latin-1")
    assert repaired([once.encode().decode("latin-1")]) == [text]
    assert repaired(["Été".encode().decode("cp1252").encode().decode("latin-1")]) == ["Été"]


def test_utf_16_and_lost_blanks_are_repaired() -> None:
    for text in ("Кино", "Motörhead", "初音ミク"):
        assert repaired([text.encode("utf-16").decode("latin-1")]) == [text]
        assert repaired([("\ufeff" + text).encode("utf-16-be").decode("latin-1")]) == [text]
    assert repaired(["ÿþ"]) == ["ÿþ"]
    assert repaired(["ÃŠtre Ã  la vie"]) == ["Être à la vie"]
    for right in ("MANHÃ DE CARNAVAL", "MAÇÃ DO AMOR", "Tomáš Klus", "Aleš Brichta"):
        assert repaired([right]) == [right]


def test_a_short_title_is_told_by_its_artist() -> None:
    texts = [text.encode("cp1251").decode("latin-1") for text in ("Дом", "Кино")]
    assert repaired([texts[0], "Live", texts[1]]) == ["Дом", "Live", "Кино"]
    assert repaired(["Motörhead", texts[1]]) == ["Motörhead", "Кино"]


@pytest.mark.parametrize(("text", "encoding"), [("Кино", "cp1251"), ("初音ミク", "cp932"), ("Beyoncé", "cp1252")])
def test_bytes_that_are_no_utf_8_are_decoded(text: str, encoding: str) -> None:
    assert repaired([text.encode(encoding).decode("utf-8", "surrogateescape")]) == [text]
    assert "\ud800" not in repaired(["a\ud800"])[0]


WORD = st.tuples(
    st.text("àáäåæçèéëíîñóôöøúüýßÀÉÖÜÅØ", max_size=3), st.text(string.ascii_letters, min_size=1, max_size=5)
).map("".join)


@given(st.lists(st.lists(WORD, max_size=4).map(" ".join), max_size=3))
def test_accented_words_stay_as_they_are(texts: list[str]) -> None:
    assert repaired(texts) == texts


@given(st.lists(st.text(max_size=12), max_size=3))
def test_any_text_is_taken(texts: list[str]) -> None:
    found = repaired(texts)
    assert len(found) == len(texts)
    for text in found:
        text.encode()


TEXT = "file,title\r\nsong.flac,Grüße – Motörhead\r\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_a_file_of_text_is_read_in_its_encoding(encoding: str) -> None:
    assert decode_text(TEXT.encode(encoding)) == TEXT
    assert decode_text(("\ufeff" + TEXT).encode("utf-16-be")) == TEXT


@pytest.mark.parametrize(("words", "encoding"), [("Группа крови", "cp1251"), ("千本桜 初音ミク", "cp932")])
def test_a_file_in_an_encoding_of_another_country_is_read(words: str, encoding: str) -> None:
    text = f"file,title\nsong.flac,{words}\n"
    assert decode_text(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"file,title\na.flac,\x81\x8d\n", 2), (b"\xff\xfea\x00\n\x00\x00\xd8", 2), (b"\xef\xbb\xbf\n\n\xff", 3)],
)
def test_a_file_in_no_encoding_names_the_line(content: bytes, line: int) -> None:
    with pytest.raises(UnknownEncodingError) as raised:
        decode_text(content)
    assert raised.value.line == line


@given(st.binary(max_size=40))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    lines: list[int] = []
    try:
        decode_text(content).encode("utf-8", "surrogatepass")
    except UnknownEncodingError as error:
        lines.append(error.line)
    assert all(line >= 1 for line in lines)
