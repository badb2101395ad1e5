"""Is it better? Scores that work in Korean, baselines, a check of facts, and a verdict over papers."""
