"""A page in the browser on which a model is tried; `videozoo app` opens it."""
