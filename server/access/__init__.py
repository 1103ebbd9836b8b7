"""Access control: identifies who sends a request, applies the operator's rules, and enforces quotas."""
