"""Reading of web addresses that others have written."""

from yarl import URL


def read_address(text: str, *, encoded: bool = False) -> URL:
    """The address in a text; `encoded`: percent-encodings stay as they are. Raises ValueError."""
    try:
        return URL(text, encoded=encoded)
    except IndexError as error:  # yarl's, for a host of brackets behind which only an "@" follows
        raise ValueError("its host is empty") from error
