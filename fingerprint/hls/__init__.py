"""Parses HLS playlists into frozen values, without I/O."""
