"""Pictures as numbers: scaled to whole patches, cut into them, and what is changed of them in training.

Pure functions on arrays: uint8 pixels [T, H, W, C], where a picture is a clip of one frame. All chance comes from the caller's
generator.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from headway.config_media import CLASS, MEDIA, PLACES, MediaConfig

ASPECT = 4 / 3  # how much wider or higher a random crop may be than the picture
_LINES_AT_ONCE = 16
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # how bright red, green and blue are (ITU-R BT.601)


@lru_cache(maxsize=4096)
def fit(height: int, width: int, *, patch: int, patches: int) -> tuple[int, int]:
    """The size (h, w) to scale a picture to: whole patches, at most ``patches``, as near as can be to the picture's own shape.

    A picture is made smaller where it must be, and never larger than the next whole patch.
    """
    shrink = min(1.0, math.sqrt(patches * patch**2 / (height * width)))
    rows, columns = height * shrink / patch, width * shrink / patch
    # Of a very thin picture one side is a whole patch, whatever its share; the other takes what is left.
    if rows < 1:
        rows, columns = 1.0, min(width / patch, patches)
    elif columns < 1:
        rows, columns = min(height / patch, patches), 1.0
    columns = max(1.0, columns)
    down = np.arange(1, min(-(-height // patch), patches) + 1)
    most = np.minimum(-(-width // patch), patches // down)
    best = math.inf, 1, 1
    for wanted in (math.floor(columns), math.ceil(columns)):
        across = np.clip(wanted, 1, most)
        distance = np.abs(np.log(down / rows)) + np.abs(np.log(across / columns))
        nearest = int(distance.argmin())
        best = min(best, (float(distance[nearest]), int(down[nearest]), int(across[nearest])))
    return best[1] * patch, best[2] * patch


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [T, H, W, C] → uint8 [T, h, w, C], bicubic; where it shrinks, every pixel counts, so that nothing flickers."""
    if pixels.shape[1:3] == tuple(size):
        return pixels
    scaled = interpolate(pixels.astype(np.float32), size)
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)


def scaled_for(pixels: np.ndarray, settings: MediaConfig) -> np.ndarray:
    """uint8 [T, H, W, C] in the size that the model reads."""
    if settings.size is None:
        return resize(pixels, fit(*pixels.shape[1:3], patch=settings.patch, patches=settings.patches))
    from PIL import Image

    filter_, (height, width) = Image.Resampling[settings.filter.upper()], settings.size
    scaled = [Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame) for frame in pixels]
    seen = [np.asarray(frame.resize((width, height), filter_)) for frame in scaled]
    return np.stack(seen).reshape(len(pixels), height, width, pixels.shape[-1])


def interpolate(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float [T, H, W, C] → float [T, h, w, C] of the same type: what `resize` rounds."""
    frames, height, width, channels = values.shape
    h, w = size
    rows = _along_lines(values.reshape(frames, height, width * channels), h).reshape(frames, h, width, channels)
    columns = _along_lines(rows.transpose(2, 0, 1, 3).reshape(1, width, -1), w)
    return np.ascontiguousarray(columns.reshape(w, frames, h, channels).transpose(1, 2, 0, 3))


def _along_lines(values: np.ndarray, new: int) -> np.ndarray:
    """[A, old, B] → [A, new, B]."""
    scaled = np.empty((values.shape[0], new, values.shape[2]), dtype=values.dtype)
    for place, part, weights in _bands(values.shape[1], new, values.dtype.name):
        np.matmul(weights, values[:, part], out=scaled[:, place])
    return scaled


@lru_cache(maxsize=512)
def _bands(old: int, new: int, dtype: str) -> list[tuple[slice, slice, np.ndarray]]:
    """Which new lines come of which old ones, in blocks, and how much each old line counts for each new one, [lines, old lines].

    The whole matrix would be zeros almost everywhere, and of a very long picture fill the memory.
    """
    scale = old / new
    reach = 2 * max(scale, 1.0)
    bands: list[tuple[slice, slice, np.ndarray]] = []
    for start in range(0, new, _LINES_AT_ONCE):
        stop = min(start + _LINES_AT_ONCE, new)
        first = max(0, math.floor((start + 0.5) * scale - reach))
        last = min(old, math.ceil((stop - 0.5) * scale + reach))
        centres = (np.arange(start, stop) + 0.5) * scale
        distance = np.abs((np.arange(first, last) + 0.5 - centres[:, None]) / max(scale, 1.0))
        weights = _cubic(distance)
        weights /= weights.sum(axis=1, keepdims=True)
        bands.append((slice(start, stop), slice(first, last), weights.astype(dtype)))
    return bands


def _cubic(distance: np.ndarray) -> np.ndarray:
    """How much a pixel counts at a distance, 1 at 0 and nothing from 2 on (Keys 1981, with a = -1/2)."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def cut_into_patches(pixels: np.ndarray, settings: MediaConfig) -> np.ndarray:
    """uint8 [T, h, w, C], h and w whole patches → float32 [S, PLACES + frames_per_patch * patch * patch * C].

    A row is a patch; rows run over time, then from top to bottom, then from left to right. Its first columns are MEDIA and the
    patch's place t, y, x in that grid; then come its values, by frame, line, column, colour: from -1 to 1, or as
    ``settings.mean`` and ``deviation`` make them. Where the frames do not fill the last patches, the last frame is repeated. A
    class token stands behind the patches: what is first tells an encoder nothing.
    """
    frames, height, width, channels = pixels.shape
    patch, frames_per_patch = settings.patch, settings.frames_per_patch
    missing = -frames % frames_per_patch
    if missing:
        pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
    grid = (len(pixels) // frames_per_patch, height // patch, width // patch)
    blocks = pixels.reshape(grid[0], frames_per_patch, grid[1], patch, grid[2], patch, channels).transpose(0, 2, 4, 1, 3, 5, 6)
    count, values = math.prod(grid), frames_per_patch * patch**2 * channels
    rows = np.zeros((count + settings.class_token, PLACES + values), dtype=np.float32)
    rows[count:, 0] = CLASS
    rows[:count, 0] = MEDIA
    rows[:count, 1:PLACES] = np.indices(grid).reshape(3, -1).T
    rows[:count, PLACES:] = blocks.reshape(count, -1)
    scale, offset = normalisation(settings, values)
    rows[:count, PLACES:] *= scale
    rows[:count, PLACES:] -= offset
    return rows


def normalisation(settings: MediaConfig, values: int) -> tuple[np.ndarray, np.ndarray]:
    """What shades from 0 to 255 are multiplied by, and what is then taken away, for each of the values of a patch, float32."""
    mean, deviation = np.array(settings.mean), np.array(settings.deviation)
    both = (1 / (255 * deviation), mean / deviation)
    scale, offset = (np.resize(one, values).astype(np.float32) for one in both)
    return scale, offset


def augment_pictures(pixels: np.ndarray, chance: np.random.Generator, settings: MediaConfig) -> np.ndarray:
    """uint8 [T, h, w, C] → the same shape: a part of it, mirrored, in another light, as ``settings`` allow; all frames alike."""
    if settings.crop:
        size = (pixels.shape[1], pixels.shape[2])
        pixels = resize(_crop(pixels, chance, settings.crop), size)
    if settings.flip and chance.random() < 0.5:
        pixels = pixels[:, :, ::-1]
    if settings.colour:
        pixels = _recolour(pixels, chance, settings.colour)
    return np.ascontiguousarray(pixels)


def _crop(pixels: np.ndarray, chance: np.random.Generator, most: float) -> np.ndarray:
    """A part at a random place: at least 1 - ``most`` of the area, its aspect within `ASPECT` (Szegedy et al. 2015, sec. 6)."""
    height, width = pixels.shape[1:3]
    share = chance.uniform(1 - most, 1)
    limit = math.log(min(ASPECT, 1 / share))  # beyond 1 / share it would be larger than the picture
    aspect = math.exp(chance.uniform(-limit, limit))
    h = min(height, math.ceil(height * math.sqrt(share / aspect)))
    w = min(width, math.ceil(width * math.sqrt(share * aspect)))
    top, left = int(chance.integers(0, height - h + 1)), int(chance.integers(0, width - w + 1))
    return pixels[:, top : top + h, left : left + w]


def _recolour(pixels: np.ndarray, chance: np.random.Generator, most: float) -> np.ndarray:
    """Light, contrast and colour, each times a number between 1 - ``most`` and 1 + ``most``."""
    light, contrast, colour = chance.uniform(1 - most, 1 + most, size=3).astype(np.float32)
    values = pixels.astype(np.float32) * light
    if pixels.shape[-1] == 3:
        grey = (values @ _GREY)[..., None]
        values = grey + colour * (values - grey)
    middle = values.mean()
    values = middle + contrast * (values - middle)
    return np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)
