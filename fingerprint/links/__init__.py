"""Links to songs that a recognizer names without ids, looked up in public services after the answer."""
