"""Boxes on images."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright image; it may reach past the image's edge."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height

    def clipped(self, image_width: int, image_height: int) -> "Box":
        """Return the part inside the image (width and height 0 where there is none)."""
        left, top = max(self.x, 0), max(self.y, 0)
        right = min(self.x + self.width, image_width)
        bottom = min(self.y + self.height, image_height)
        return Box(left, top, max(right - left, 0), max(bottom - top, 0))
