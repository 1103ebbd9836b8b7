"""The errors of a catalog that cannot be used."""

from fingerprint.domain.problems import ProblemCode, TwitchAudioError


class CatalogError(TwitchAudioError):
    """The catalog cannot be used as it is; the text says what to do."""

    def __init__(self, detail: str, *, code: ProblemCode = ProblemCode.RECOGNIZER_UNAVAILABLE) -> None:
        super().__init__(code, detail)


class DamagedCatalogError(CatalogError):
    """A file of the catalog was damaged after it was written."""


class NoCatalogError(CatalogError):
    """There is no catalog in the folder."""


class OtherFingerprintError(CatalogError):
    """The catalog was made by another fingerprint, so nothing in it can be compared with ours."""


class CatalogBusyError(CatalogError):
    """Another process is changing the catalog."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code=ProblemCode.BUSY)


class ChangedElsewhereError(CatalogError):
    """A catalog in object storage was changed by another writer since it was last looked at."""
