"""Backups of a whole installation, in one file each: made while servers run, checked, and restored in one step."""
