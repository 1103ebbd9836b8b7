"""What a channel has beside single questions: its feed, its chat command, its watch, and reports on answers."""
