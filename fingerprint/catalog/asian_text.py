"""Recognizes Chinese and Korean text in the encodings of Windows: GBK, Big5 and EUC-KR.

These encodings overlap, and nearly any bytes are some text in one of them. So only what is usual counts: the more
frequent half of the characters, and of several readings the one with more of the most frequent ones.
"""

# ruff: noqa: RUF001 - signs that look alike are what this is about
import re
from typing import Final

MIN_CHARACTERS: Final = 2
MIN_SHARE: Final = 0.3
"""The share of the most frequent characters from which a reading is believed."""

_HANZI: Final = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方"
    "多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情"
    "明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给"
    "世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目"
    "太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思"
    "王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笑飞风步改收根干造言联持"
    "爱情歌曲夜梦雨花雪星云红黑蓝城我你他她爱恋泪唱听忆念离别等待永远亲吻青春月亮太阳童话世界孤单寂寞快乐幸福温柔再见朋友周杰"
    "伦邓丽君林李陈王张刘蔡孙燕姿五月天甜蜜瓷代表好久不见后来味道"
    "這個們來為國時說會對過發後裡種經沒動還進樣開從實軍無與長機關點業將兩間問並應戰向頭體見產斯話給員處義幾認條氣題爾別變總電"
    "數報結務場計資統區隊決馬書則聽達強難權設記類據邊張該規萬術領確傳師觀讓識帶導爭運飛風聯愛夢雲紅藍戀淚憶離遠親陽單樂倫鄧麗"
    "劉陳孫蔡語"
)
_HANGUL: Final = frozenset(
    "이다는가을에의고하지로기사대한도어리서자나를인그시아은해수정만일부전스보들있것과라게제장원선상공조연주동안구비무여성니국유우관"
    "개행경계중거모바화신미면생세소방요당력청심영실년문금물분산재속학치노양현진직회통각설마타오내말랑밤편날좋너와네더내눈별꽃봄비달"
    "람때없었던까지처럼으함께길집빛꿈음악노래송김박최탄단녀블랙핑크엑빅뱅레드벨벳트와이스샤태윤두세상번첫잊못그대여름겨울가을하늘바"
    "다사랑해요미안해기다려줘돌아와줄게싶어마음속눈물행복추억인생운명약속거짓말같은나의우리너를위해한번또다시"
)
_PLAIN: Final = re.compile(r"[\u3000-\u303f\uff01-\uff5e·—…“”‘’×]")
_SYMBOLS: Final = re.compile(rb"[\xa1-\xbf\xd7\xf7]")
_BESIDE_LETTERS: Final = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")
_HIGH: Final = re.compile(r"[^\x00-\x7f]")


def chinese_or_korean(content: bytes, *, of_file: bool = False) -> str | None:
    """The text that bytes are in one of these encodings; None if that is not certain.

    `of_file`: they are known to be no Latin-1, as a whole file's can be by their number.
    """
    readings = [
        (text, score)
        for encoding in ("gbk", "big5", "euc_kr")
        if (text := _decoded(content, encoding)) is not None
        and (score := _score(text, encoding)) is not None
        and (of_file or _is_no_latin(content, encoding))
    ]
    readings.sort(key=lambda reading: -reading[1])
    if not readings or readings[0][1] < MIN_SHARE or (len(readings) > 1 and readings[0][1] == readings[1][1]):
        return None
    return readings[0][0]


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_no_latin(content: bytes, encoding: str) -> bool:
    """Whether the bytes are no accented words: these have letters beside letters, and hardly any sign."""
    signs = len(_SYMBOLS.findall(content))
    letters = sum(byte > 0x7F for byte in content) - signs
    if encoding == "big5":
        return 2 * signs >= letters
    return 0 < signs <= 3 * letters and _BESIDE_LETTERS.search(content) is None


def _score(text: str, encoding: str) -> float | None:
    """The share of the most frequent characters; None for a text with others than frequent ones."""
    letters = [letter for letter in _HIGH.findall(text) if not _PLAIN.match(letter)]
    if len(letters) < MIN_CHARACTERS or not all(_is_frequent(letter, encoding) for letter in letters):
        return None
    usual = _HANGUL if encoding == "euc_kr" else _HANZI
    return sum(letter in usual for letter in letters) / len(letters)


def _is_frequent(letter: str, encoding: str) -> bool:
    """Whether a character is among those that the encoding has first, for their frequency."""
    lead = letter.encode(encoding)[0]
    match encoding:
        case "gbk":  # GB 2312, level 1
            return 0xB0 <= lead <= 0xD7 and letter.encode(encoding)[1] >= 0xA1
        case "big5":
            return 0xA4 <= lead <= 0xC6
        case _:  # KS X 1001, Hangul
            return 0xB0 <= lead <= 0xC8
