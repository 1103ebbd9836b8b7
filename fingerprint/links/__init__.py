"""Links to songs that a recognizer names without ids: found through public look-up services, after the answer."""
