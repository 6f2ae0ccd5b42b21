"""A small task made from formulas, on which all five models are trained in minutes."""
