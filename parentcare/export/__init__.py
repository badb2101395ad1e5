"""From a run's adapter to folders that others can load, serve and trust: merge, parity, card, hub."""
