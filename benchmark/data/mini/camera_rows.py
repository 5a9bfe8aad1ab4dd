"""The cameras of each generated re-identification set: a few of the official numbers, each its own place (no torch)."""

from __future__ import annotations

from benchmark.data.mini.cameras import Camera, Place

LAWN = Place((150, 175, 185), (120, 165, 150), (70, 130, 95), "leaves", "bicycle")
SHOP = Place((170, 160, 150), (205, 190, 175), (150, 120, 95), "windows", "bollard")
BRICK_LANE = Place((95, 125, 150), (75, 105, 165), (60, 80, 125), "bricks", "plant")
UNDERPASS = Place((105, 100, 95), (125, 120, 110), (90, 85, 80), "tiles", "passer")
FENCE = Place((185, 185, 180), (140, 145, 150), (110, 115, 125), "posts", "rail")
BRICK_HALL = Place((120, 150, 170), (85, 125, 155), (65, 100, 130), "bricks", "passer")
HEDGE = Place((90, 110, 90), (80, 110, 85), (55, 85, 55), "leaves", "branch")
SNOWY_ROAD = Place((215, 205, 195), (190, 180, 165), (160, 150, 130), "lanes", "bicycle")
ARCADE = Place((140, 150, 140), (175, 180, 165), (120, 140, 105), "windows", "passer")
HALL = Place((110, 140, 165), (130, 170, 200), (90, 125, 165), "tiles", "plant")
COLONNADE = Place((150, 130, 105), (165, 140, 110), (125, 95, 70), "posts", "rail")
NIGHT_ROAD = Place((90, 90, 90), (70, 75, 80), (105, 110, 115), "lanes", "bicycle")
COURT = Place((150, 175, 160), (130, 165, 145), (100, 140, 115), "bricks", "bollard")
AVENUE = Place((140, 145, 150), (110, 150, 130), (200, 205, 210), "lanes", "bollard")
BRIGHT_CROSSING = Place((165, 155, 145), (175, 165, 150), (230, 225, 220), "bare", "rail")
BRICK_STREET = Place((100, 125, 145), (95, 130, 160), (70, 100, 130), "bricks", "plant")
DARK_CROSSING = Place((80, 80, 80), (60, 65, 75), (140, 140, 130), "bare", "bollard")
PARK_ROAD = Place((120, 145, 130), (80, 125, 95), (60, 100, 70), "leaves", "branch")

CAMERAS: dict[str, tuple[Camera, ...]] = {
    # A sunny campus: light places, clean pictures.
    "market": (
        Camera(1, LAWN, cast=(0.88, 1.0, 1.08), contrast=1.0, yaw=20, spread=35, above=5, blur=0.3),
        Camera(2, SHOP, cast=(1.12, 1.0, 0.88), contrast=0.85, yaw=160, spread=35, above=10, blur=0.4),
        Camera(3, BRICK_LANE, cast=(0.8, 0.95, 1.05), contrast=0.95, yaw=90, spread=40, above=5, blur=0.3),
        Camera(6, UNDERPASS, cast=(0.78, 0.8, 0.76), contrast=0.8, yaw=45, spread=60, above=20, blur=0.7),
    ),
    # A campus in winter: grey light, coats, from higher up.
    "duke": (
        Camera(1, FENCE, cast=(1.08, 1.0, 0.94), contrast=0.85, yaw=30, spread=35, above=20, blur=0.4),
        Camera(2, BRICK_HALL, cast=(0.78, 0.92, 1.02), contrast=0.8, yaw=150, spread=35, above=15, blur=0.5),
        Camera(5, HEDGE, cast=(0.74, 0.8, 0.72), contrast=0.9, yaw=90, spread=45, above=10, blur=0.4),
        Camera(8, SNOWY_ROAD, cast=(1.2, 1.08, 1.0), contrast=0.7, yaw=60, spread=70, above=30, blur=0.6),
    ),
    # Streets and halls at all hours: strong casts, soft pictures.
    "msmt17": (
        Camera(1, ARCADE, cast=(1.0, 1.02, 0.92), contrast=0.95, yaw=20, spread=40, above=10, blur=0.5),
        Camera(4, HALL, cast=(0.72, 0.9, 1.08), contrast=0.85, yaw=150, spread=40, above=15, blur=0.6),
        Camera(7, COLONNADE, cast=(1.14, 0.96, 0.78), contrast=0.9, yaw=85, spread=45, above=10, blur=0.5),
        Camera(11, NIGHT_ROAD, cast=(0.72, 0.72, 0.72), contrast=0.75, yaw=50, spread=60, above=20, blur=0.8),
        Camera(15, COURT, cast=(0.9, 1.1, 0.96), contrast=0.8, yaw=120, spread=60, above=25, blur=0.7),
    ),
    # Road crossings, seen from poles.
    "veri": (
        Camera(2, AVENUE, cast=(0.95, 1.0, 1.06), contrast=1.0, yaw=45, spread=14, above=16, blur=0.3),
        Camera(
            6, BRIGHT_CROSSING, cast=(1.16, 1.02, 0.88), contrast=0.85, yaw=130, spread=14, above=30, blur=0.4
        ),
        Camera(
            11, BRICK_STREET, cast=(0.74, 0.88, 1.02), contrast=0.9, yaw=90, spread=16, above=12, blur=0.4
        ),
        Camera(
            16, DARK_CROSSING, cast=(0.76, 0.74, 0.7), contrast=0.8, yaw=65, spread=20, above=34, blur=0.8
        ),
        Camera(19, PARK_ROAD, cast=(0.92, 1.1, 0.98), contrast=0.8, yaw=115, spread=20, above=22, blur=0.6),
    ),
}
