"""From papers to records, and from records to the three parts of the data."""
