"""What a channel's owner has decided about its plays: corrections, and what is public."""
