"""Our own recognizer's index: finds the track in a few seconds of sound, under speech and noise.

    fingerprint.py   sound -> landmarks (spectrogram.py, constellation.py, landmarks.py, parameters.py)
    index_file.py    one immutable, memory-mapped file of tracks and postings: an IndexSegment
    segment_layout.py  its bytes (segment_writer.py writes them, segment_name.py tells whose a file is)
    manifest.py      which IndexSegments a catalog has; replaced atomically
    index.py         `Catalog`: an open catalog, for reading; sees additions without being opened again
    catalogs.py      several catalogs that are asked together
    writer.py        `CatalogWriter`: adds and removes tracks, merges IndexSegments (merging.py); one at a time
    matching.py      a recording's landmarks against a `Catalog` -> alignments with a confidence
    tracks.py        a track: its id, its files, and what their tags and sidecars say
    ingest.py        files and folders -> a catalog (walk.py finds them, library.py knows what is there)
    rebuild.py       makes a catalog again with the present fingerprint
    backup.py        copies of a whole catalog
    exchange.py      exports of tracks without sound, and their import
    file_reader.py   one file -> its track and fingerprint, in worker processes that may crash (song_reader.py)
    recognition_pool.py  a recording -> findings, in worker processes beside the server
    tags.py          the tags and external ids in a file

Nothing in this package decodes sound; `fingerprint.index_worker` does.
"""
