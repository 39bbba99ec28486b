"""Where things lie in a person's texture, in fractions of its side; paint.py fills it."""

from __future__ import annotations

SIDE = 512  # pixels
FACE = 0.78125  # the face's square, in the upper left corner: 400 pixels
STRIP = (FACE + 0.008, 0.998)  # the loft's columns, chin to crown; its rows run over FACE, border to neck
EYE = (0.0, 0.80, 0.19)  # left, top, side
EYE_DEGREES = 110.0  # from the middle of the eye's cell to its edge
TEETH = (0.20, 0.82, 0.16, 0.15)  # left, top, width, height
HAIR = (0.40, 0.80, 0.40, 0.195)
INSET = 2.0 / SIDE  # patches keep this far from their cells' edges, or neighbours bleed in
BAG = (0.84, 0.90)  # the mouth's inside: one point
EAR = (0.90, 0.89, 0.085)  # middle and half side
