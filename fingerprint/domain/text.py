"""Text from others, made fit to store and show."""

import re
from typing import Final

TEXT_LIMIT: Final = 500
"""Characters of one text, unless its use says otherwise."""

# Controls, characters that reorder the text around them, and halves of surrogate pairs.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+")


def clean_text(value: str, limit: int = TEXT_LIMIT) -> str:
    """The text without unfit characters (a run of them becomes one space), cut to `limit` characters."""
    if len(value) <= limit and value.isascii() and value.isprintable() and value[:1] != " " != value[-1:]:
        # What most texts are: nothing to drop, nothing to cut.
        return value
    # Cut first, with room for what is dropped, so that the cost does not depend on the sender.
    return _UNFIT.sub(" ", value[: 4 * limit]).strip()[:limit]
