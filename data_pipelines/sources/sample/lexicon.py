"""Vocabulary of the generated sample."""

from __future__ import annotations

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": ("tiger", "horse", "rabbit", "whale", "eagle", "sheep", "frog", "camel"),
    "food": ("bread", "cheese", "apple", "soup", "rice", "honey", "onion", "cake"),
    "tool": ("hammer", "saw", "drill", "shovel", "wrench", "axe", "brush", "ladder"),
    "vehicle": ("truck", "boat", "train", "bicycle", "plane", "tractor", "bus", "wagon"),
    "clothing": ("hat", "coat", "scarf", "glove", "shirt", "boot", "belt", "sock"),
    "instrument": ("drum", "flute", "violin", "piano", "guitar", "harp", "trumpet", "bell"),
}
THINGS: tuple[str, ...] = tuple(word for words in CATEGORIES.values() for word in words)
CATEGORY_OF: dict[str, str] = {w: name for name, words in CATEGORIES.items() for w in words}

NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry",
    "Ivy", "Jack", "Kate", "Liam", "Maria", "Noah", "Olga", "Peter",
)  # fmt: skip
PLACES = (
    "market", "park", "school", "beach", "station", "library",
    "forest", "museum", "harbour", "garden", "castle", "office",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "purple")
SIZES = ("small", "big", "tiny", "huge", "short", "long")
GOOD = ("great", "lovely", "superb", "wonderful", "brilliant", "delightful", "perfect", "charming")
BAD = ("awful", "terrible", "boring", "dreadful", "poor", "horrible", "weak", "disappointing")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
