"""Reference implementation of words and n-grams, by a loop over each text."""

import re


def split_words(text):
    return re.findall(r"[^\W_]+", text.lower())


def split_ngrams(text, n):
    words = split_words(text)
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
