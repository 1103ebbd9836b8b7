"""The operator's rules: website settings, lists, access codes and broadcasters, and the policy applying them."""
