"""Who may use the server: settings, lists, codes and broadcasters, and the pure policy that decides."""
