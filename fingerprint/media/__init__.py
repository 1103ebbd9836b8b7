"""From addresses and files to sound: bounded fetching, decoding in worker processes, and capture."""
