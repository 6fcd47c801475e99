"""Shapes in a probability map: connected regions, the smallest rectangle around points, a rectangle cut out of a picture."""
import numpy as np
from PIL import Image


def label_regions(mask):
    """Numbers the 8-connected regions of a boolean map from 1: int [height, width], and their count.

    Runs of set pixels in each row are united with the runs that they touch in the row above.
    """
    parent = [0]

    def find(label):
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    labels = np.zeros(mask.shape, np.int32)
    above = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row.view(np.int8), [0]))))
        runs = []
        for begin, end in edges.reshape(-1, 2):
            touching = [find(label) for first, last, label in above if first <= end and begin <= last]
            label = min(touching, default=len(parent))
            if label == len(parent):
                parent.append(label)
            for other in touching:
                parent[other] = label
            labels[y, begin:end] = label
            runs.append((begin, end, label))
        above = runs
    roots, numbers = np.unique([find(label) for label in range(len(parent))], return_inverse=True)
    return numbers[labels].astype(np.int32), len(roots) - 1


def convex_hull(points):
    """Corners of the convex hull, counter-clockwise, by Andrew's monotone chain. points: [n, 2]."""
    points = np.unique(points, axis=0)
    if len(points) < 3:
        return points

    def turns_left(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0])

    def chain(ordered):
        kept = []
        for p in ordered:
            while len(kept) > 1 and not turns_left(kept[-2], kept[-1], p):
                kept.pop()
            kept.append(p)
        return kept[:-1]

    return np.array(chain(points) + chain(points[::-1]))


def smallest_rectangle(points):
    """The rectangle of least area around points [n, 2]: (centre, size, axes), axes [2, 2] unit rows; size along them.

    One of its sides lies along a side of the convex hull.
    """
    hull = convex_hull(points.astype(np.float64))
    sides = np.roll(hull, -1, axis=0) - hull
    sides = sides[np.hypot(*sides.T) > 0] if len(hull) > 1 else np.array([[1.0, 0.0]])
    along = sides / np.hypot(*sides.T)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    low = np.stack([(hull @ along.T).min(0), (hull @ across.T).min(0)], axis=1)
    high = np.stack([(hull @ along.T).max(0), (hull @ across.T).max(0)], axis=1)
    best = np.argmin((high - low + 1).prod(axis=1))
    axes = np.stack([along[best], across[best]])
    return (low[best] + high[best]) / 2 @ axes, high[best] - low[best], axes


def corners_in_reading_order(centre, size, axes):
    """Corners top left, top right, bottom right, bottom left; the longer side runs most nearly to the right."""
    axes = np.array(axes)
    order = np.argsort(-np.abs(axes[:, 0]))
    axes, size = axes[order], np.array(size)[order]
    axes[0] *= 1 if axes[0, 0] >= 0 else -1
    axes[1] *= 1 if axes[1, 1] >= 0 else -1
    right, down = axes[0] * size[0] / 2, axes[1] * size[1] / 2
    return np.array([centre - right - down, centre + right - down, centre + right + down, centre - right + down])


def cut_out(picture, corners):
    """The parallelogram with these corners as an upright picture; one much higher than wide is turned to the left."""
    width = int(round(np.hypot(*(corners[1] - corners[0]))))
    height = int(round(np.hypot(*(corners[3] - corners[0]))))
    right, down = (corners[1] - corners[0]) / width, (corners[3] - corners[0]) / height
    coefficients = (right[0], down[0], corners[0][0], right[1], down[1], corners[0][1])
    image = Image.fromarray(picture).transform((width, height), Image.Transform.AFFINE, coefficients,
                                               resample=Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))
    upright = np.asarray(image)
    return np.rot90(upright).copy() if height >= 1.5 * width else upright
