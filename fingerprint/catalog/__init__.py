"""Our own recognizer's index: names a track from a few seconds of it, under speech and noise.

    fingerprint.py   sound -> landmarks (spectrogram.py, constellation.py, landmarks.py, parameters.py)
    index_file.py    one immutable, memory-mapped file of tracks and postings: an IndexSegment
    manifest.py      which IndexSegments a catalog has; replaced atomically
    index.py         `Catalog`: an open catalog, for reading; sees additions without being opened again
    writer.py        `CatalogWriter`: adds and removes tracks, merges IndexSegments; one at a time
    matching.py      a recording's landmarks against a `Catalog` -> alignments with a confidence
    ingest.py        files and folders -> a catalog
    file_reader.py   one file -> its track and fingerprint, in worker processes that may crash
    recognition_pool.py  a recording -> findings, in worker processes beside the server
    tags.py          what a file says about itself

Nothing in here decodes: `fingerprint.index_worker` does.
"""
