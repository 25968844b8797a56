"""The Celery side: thin tasks, the nudge after a commit, the sweep and the timer."""
