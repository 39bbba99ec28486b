"""A face cut out of its photograph, without aliasing.

A proxy's crop shrinks the photograph up to eightfold, where plain bilinear sampling would turn hair
and noise into false texture. So: decode the JPEG at the smallest of 1, 1/2, 1/4, 1/8 that still has
as many pixels as the crop (libjpeg scales inside the transform, cheaper and better than afterwards),
sample it bilinearly on a grid twice as fine as the crop, and average 2 x 2. At most a factor of two
is left to the last step, which the box over two samples covers.
tests/test_crops_cut.py compares with averaging 8 x 8 samples a pixel of the full image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.wcpa.sample import decode


def cut(data: bytes, affine: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 RGB crop of JPEG bytes; affine (2, 3) full-image px to crop px.

    Outside the photograph the crop is black, as in the challenge's own crops.
    """
    scale = float(np.hypot(affine[0, 0], affine[1, 0]))  # crop px per full px
    reduction = max([k for k in (1, 2, 4, 8) if scale * k <= 1.0], default=1)
    return warp(decode(data, reduction), affine, size, reduction)


def warp(
    image: NDArray[np.uint8], affine: NDArray[np.floating], size: int, reduction: int = 1
) -> NDArray[np.uint8]:
    """Crop of an image that holds the photograph at 1 / reduction; as `cut` otherwise."""
    import cv2

    # Pixel centres are integers: a reduced pixel x covers full pixels k x .. k x + k - 1, whose centre
    # is k x + (k - 1) / 2; likewise a crop pixel is two fine ones.
    fine = np.array(affine, dtype=np.float64) * 2.0
    fine[:, 2] += 0.5
    fine[:, 2] += fine[:, :2] @ np.full(2, (reduction - 1) / 2.0)
    fine[:, :2] *= reduction
    crop = cv2.warpAffine(image, fine, (2 * size, 2 * size), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
