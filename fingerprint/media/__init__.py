"""Gets sound from addresses and files: bounded fetching, decoding in worker processes, and capture."""
