"""Press'nXPress."""
