"""What stands before and behind the three PP-OCR networks: pictures to tensors, tensors to boxes, directions, text.

Means, deviations and thresholds are those that PaddleOCR publishes with the networks; it grows boxes by 1.5, we by 2.2,
because rectangles that leave a little air around a line keep its spaces legible. Pictures are uint8 RGB
[height, width, 3]; tensors float32 [1, 3, height, width] with the channels in the order blue, green, red.
"""
from dataclasses import dataclass

import numpy as np
from PIL import Image

from geometry import corners_in_reading_order, label_regions, smallest_rectangle

DETECTION_SIDE_MAX_PX = 960
DETECTION_MULTIPLE_PX = 32
DETECTION_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DETECTION_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
PIXEL_THRESHOLD = 0.3
BOX_THRESHOLD = 0.6
UNCLIP_RATIO = 2.2
BOX_SIDE_MIN_PX = 3
DIRECTION_SIZE = (48, 192)
DIRECTION_THRESHOLD = 0.9
RECOGNITION_HEIGHT_PX = 48
RECOGNITION_WIDTH_MIN_PX = 320


@dataclass
class Box:
    corners: np.ndarray  # [4, 2], x and y in the picture, in reading order
    score: float


def resize(picture, height, width):
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def to_tensor(pixels):
    return np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)[None]).astype(np.float32)


def detection_input(picture):
    """Sides at most 960 pixels and multiples of 32."""
    height, width = picture.shape[:2]
    scale = min(1.0, DETECTION_SIDE_MAX_PX / max(height, width))

    def side(pixels):
        return max(1, round(pixels * scale / DETECTION_MULTIPLE_PX)) * DETECTION_MULTIPLE_PX

    pixels = to_tensor(resize(picture, side(height), side(width))) / np.float32(255)
    mean, deviation = DETECTION_MEAN.reshape(1, 3, 1, 1), DETECTION_DEVIATION.reshape(1, 3, 1, 1)
    return ((pixels - mean) / deviation).astype(np.float32)


def grown(size):
    """Text regions come out shrunken; grow a rectangle by area * ratio / perimeter on each side."""
    return size + 2 * (size.prod() * UNCLIP_RATIO / (2 * size.sum()))


def boxes_from_map(probability, picture_shape):
    """Boxes in the order in which one reads them, from the detector's map [height, width]."""
    labels, count = label_regions(probability > PIXEL_THRESHOLD)
    scale = np.array([picture_shape[1] / probability.shape[1], picture_shape[0] / probability.shape[0]])
    boxes = []
    for label in range(1, count + 1):
        rows, columns = np.nonzero(labels == label)
        score = float(probability[rows, columns].mean())
        centre, size, axes = smallest_rectangle(np.stack([columns, rows], axis=1))
        if score < BOX_THRESHOLD or min(size) < BOX_SIDE_MIN_PX:
            continue
        corners = corners_in_reading_order(centre + 0.5, grown(size + 1), axes) * scale
        boxes.append(Box(corners, score))
    return [box for line in lines_of(boxes) for box in line]


def lines_of(boxes):
    """Boxes grouped into lines, top to bottom, each from left to right."""
    lines = []
    for box in sorted(boxes, key=lambda box: box.corners[:, 1].mean()):
        middle, height = box.corners[:, 1].mean(), box.corners[3, 1] - box.corners[0, 1]
        if lines and middle - np.mean([b.corners[:, 1].mean() for b in lines[-1]]) < height / 2:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [sorted(line, key=lambda box: box.corners[:, 0].min()) for line in lines]


def strip(picture, height, width_min, width_max=None):
    """A line of text at a fixed height, padded on the right with the value of mid grey (0)."""
    width = max(1, int(np.ceil(picture.shape[1] * height / picture.shape[0])))
    width = min(width, width_max or width)
    pixels = (to_tensor(resize(picture, height, width)) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    padded = np.zeros((1, 3, height, max(width, width_min)), np.float32)
    padded[..., :width] = pixels
    return padded


def direction_input(line_picture):
    return strip(line_picture, *DIRECTION_SIZE, width_max=DIRECTION_SIZE[1])


def is_upside_down(probabilities):
    """Classes are 0 and 180 degrees."""
    return bool(probabilities[0, 1] > DIRECTION_THRESHOLD)


def recognition_input(line_picture):
    return strip(line_picture, RECOGNITION_HEIGHT_PX, RECOGNITION_WIDTH_MIN_PX)


def load_characters(path):
    """Class 0 is the blank of CTC, then the file's lines, then the space."""
    return [""] + path.read_text(encoding="utf-8").split("\n")[:6623] + [" "]


def decode_text(probabilities, characters):
    """Greedy CTC: the likeliest class of each step, repeats merged, blanks dropped. Returns text and mean confidence."""
    best = probabilities[0].argmax(axis=1)
    kept = (best != 0) & (best != np.concatenate(([-1], best[:-1])))
    confidence = probabilities[0].max(axis=1)[kept]
    return "".join(characters[i] for i in best[kept]), float(confidence.mean()) if kept.any() else 0.0
