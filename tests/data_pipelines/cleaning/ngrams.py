"""Reference implementation of word splitting and n-grams for one text."""

import re


def split_words(text):
    return re.findall(r"[^\W_]+", text.lower())


def split_ngrams(text, n):
    words = split_words(text)
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
