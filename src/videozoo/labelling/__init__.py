"""Labelling a folder of videos on a page, by one key a class; the csv is what `train` reads."""
