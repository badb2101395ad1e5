"""From a finished run to better settings: a search on validation, and a verdict with an interval."""
