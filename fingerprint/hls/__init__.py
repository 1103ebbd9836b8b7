"""HLS playlists as values: pure text in, frozen values out, no I/O."""
