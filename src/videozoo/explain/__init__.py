"""Why a model said what it said: which moments of a video, and which places of its frames."""
