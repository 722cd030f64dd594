"""The search: create or resume a study, train its trials, answer with one, and check the answer."""
