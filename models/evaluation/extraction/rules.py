"""Every rule of answer extraction: a table row with a name, a pattern and its source.

To add a rule, add a row here and examples to tests/models/evaluation/extraction/cases.jsonl.

Sources:
- FLAN: the answer formats of the chain-of-thought data of FLAN v2 (Longpre et al.,
  arXiv 2301.13688).
- GSM8K: Cobbe et al., arXiv 2110.14168; an answer follows `####`.
- MATH: Hendrycks et al., arXiv 2103.03874; an answer is in `\\boxed{}`.
- MGSM: the native exemplars of Shi et al., arXiv 2210.03057, as in the harness's task `mgsm`, and
  their short form with a colon.
- BBH: the answer formats of Suzgun et al., arXiv 2210.09261.
- Harness: the answer filters of lm-evaluation-harness 0.4.13.
- CLDR: Unicode Common Locale Data Repository, number symbols and patterns.
- SI: SI Brochure, 9th edition, section 5.4.4: spaces may separate groups of three digits.
- Unicode: Unicode Standard, compatibility decompositions and decimal digits.
- Checked: no published source; decided by reading the examples of the rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

LETTER = r"\(?(?-i:[A-Z])\)?(?!\w|')"
"""An option letter, with or without parentheses."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of extraction."""

    name: str
    source: str
    language: str = ""
    """ISO 639-1 code of the language that the rule is for; empty for all."""


@dataclass(frozen=True, kw_only=True)
class Pattern(Rule):
    """A rule that finds something in a text."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, kw_only=True)
class Rewrite(Pattern):
    """A rule that replaces something in a text before numbers or options are searched."""

    replacement: str | Callable[[re.Match[str]], str]


def rewrite(text: str, rules: tuple[Rewrite, ...]) -> str:
    """Apply rules to a text, in their order."""
    for rule in rules:
        text = rule.pattern.sub(rule.replacement, text)
    return text


def _marker(name: str, language: str, pattern: str, source: str) -> Pattern:
    compiled = re.compile(pattern, re.IGNORECASE)
    return Pattern(name=name, language=language, pattern=compiled, source=source)


def _rewrite(
    name: str, pattern: str, replacement: str | Callable[[re.Match[str]], str], source: str
) -> Rewrite:
    compiled = re.compile(pattern, re.IGNORECASE)
    return Rewrite(name=name, pattern=compiled, replacement=replacement, source=source)


_IS = r"(?:is|was|are|would be|will be|should be|must be)"

MARKERS = (
    _marker(
        "answer is", "en",
        rf"\banswers?\b(?:\s+to\s[^.\n]{{1,60}}?)?\s+{_IS}\b(?:\s+that\b)?\s*:?", "FLAN",
    ),
    _marker("answer colon", "en", r"\banswer\s*[:：]", "FLAN"),
    _marker(
        "option is", "en",
        rf"\b(?:correct|right|best|(?:most )?(?:likely|plausible|appropriate))\s+"
        rf"(?:option|choice|letter|one)s?\s+{_IS}\b\s*:?",
        "Checked",
    ),
    _marker("hashes", "", r"####", "GSM8K"),
    _marker("boxed", "", r"\\boxed\s*\{", "MATH"),
    _marker("Antwort", "de", r"\bAntwort(?:\s+(?:ist|lautet)\b|\s*:)\s*:?", "MGSM"),
    _marker("respuesta", "es", r"\brespuesta(?:\s+es\b|\s*:)\s*:?", "MGSM"),
    _marker("réponse", "fr", r"\bréponse(?:\s+est\b|\s*:)\s*:?", "MGSM"),
    _marker("ответ", "ru", r"\bответ\s*[—–:-]", "MGSM"),
    _marker("উত্তর", "bn", r"উত্তর\s*(?:হল|হলো|[:ঃ])\s*:?", "Checked"),
    _marker("答え", "ja", r"答え(?:は|\s*[:：])", "MGSM"),
    _marker("答案", "zh", r"答案(?:是|为|\s*[:：])", "MGSM"),
    _marker("คำตอบ", "th", r"คำตอบ(?:คือ|\s*:)", "MGSM"),
    _marker("jibu", "sw", r"\bjibu(?:\s+ni\b|\s*:)\s*:?", "MGSM"),
    _marker("సమాధానం", "te", r"సమాధానం\s*:?", "MGSM"),
)  # fmt: skip
"""Phrases that an answer follows."""

ASSESSMENT = _marker(
    "assessment", "en",
    r"[\s*]*(?:(?:most|almost|very|quite|also|indeed|certainly|definitely|not|n't)\s+)*"
    r"(?:correct|right|wrong|incorrect|sure|certain|final|accurate|reasonable|plausible|verified)\b"
    r"|[\s*]*(?:based|derived|computed|calculated|obtained|explained|supported|justified)\s+"
    r"(?:on|from|by|as|in|above|below)\b",
    "Checked",
)  # fmt: skip
"""Words after a marker that judge or explain an answer: "my answer is correct"."""

CORRECTION = _marker(
    "correction", "en",
    r"(?:^|[.,;:!—–-])\s*(?:oh,?\s+|no,?\s+)*(?:wait|sorry|correction)\b(?:,?\s+no\b)?\s*[,.:;!—–-]",
    "Checked",
)  # fmt: skip
"""A phrase that takes back what precedes it: "12. Wait, no: 7"."""

CONCLUSION = _marker(
    "conclusion", "en",
    r"(?:\b(?:so|therefore|thus|hence|in conclusion)\b|=(?!.*=))[^.!?=\n]*", "FLAN",
)  # fmt: skip
"""The clause that ends an argument without a marker: "so it is (B)"."""

SENTENCE_END = _marker(
    "sentence end", "",
    r"(?<![\s.(](?-i:[A-Za-z]))(?<!\bno)(?<!\brs)(?<!\bmr)(?<!\bms)(?<!\bmrs)(?<!\bdr)(?<!\bst)"
    r"(?<!\bsq)(?<!\bca)(?<!\bapprox)(?<!^)[.!?](?=\s|[*\"')\]}]*(?:\s|$))|[।。！？\n]",
    "Unicode",
)  # fmt: skip
"""The end of the clause after a marker; `Mrs. Hilt` and `9 a.m.` are not split."""


def _vulgar_fraction(match: re.Match[str]) -> str:
    return " " + unicodedata.normalize("NFKC", match[0].strip()).replace("\u2044", "/")


def _exponent(match: re.Match[str]) -> str:
    return "^" + unicodedata.normalize("NFKC", match[0])


_SUPERSCRIPT = "\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089"
_CURRENCY = r"(?:US\$|[$€£¥₹₽₩]|Rs\.?)"

SYMBOL_REWRITES = (
    _rewrite("fraction in LaTeX", r"\\[dt]?frac\{(\d+)\}\{(\d+)\}", r" \1/\2", "MATH"),
    _rewrite(
        "vulgar fraction", r"[^\S\n]?[\u00bc-\u00be\u2150-\u215e]", _vulgar_fraction, "Unicode",
    ),
    _rewrite("exponent of a unit", rf"(?<=[^\W\d_])[{_SUPERSCRIPT}]+", "", "Unicode"),
    _rewrite("exponent of a number", rf"(?<=\d)[{_SUPERSCRIPT}]+", _exponent, "Unicode"),
    _rewrite("minus sign", r"[\u2212\ufe63\uff0d]", "-", "Unicode"),
)  # fmt: skip
"""Symbols whose compatibility decomposition would change a number: `25 m²` is not `25 m2`."""

NUMBER_REWRITES = (
    _rewrite(
        "power of a unit", r"(\d\s*(?:[kcdm]?m|ft|in|yd|mi))\s?\^?[23]\b", r"\1", "Checked",
    ),
    _rewrite(
        "dollars and cents", r"\$?(\d+)(?: dollars?)? and (\d\d) cents?\b", r"$\1.\2", "Checked",
    ),
    _rewrite(
        "negative word", r"(?<![\d)] )(?<![\d)])\b(?:minus|negative|минус)\s+(?=\$?\d)", "-",
        "Checked",
    ),
    _rewrite("currency after sign", rf"(?<![\w.)\]])-\s?{_CURRENCY}\s?(?=[.\d])", "-", "CLDR"),
    _rewrite("sign after currency", rf"{_CURRENCY}\s?-\s?(?=[.\d])", "-", "CLDR"),
    _rewrite("leading point", r"(?<![\w.,)])(-?)\.(?=\d)", r"\g<1>0.", "Checked"),
    _rewrite(
        "calculation in parentheses",
        r"(?<=[\w%])\s+\(\d[\d.]*(?:\s*[-+*/×÷x]\s*\$?\d[\d.]*)+\)(?=\s*[.!]?\s*$)", "",
        "Checked",
    ),
    _rewrite(
        "negated number", rf"\b(?:not|nicht|не)\s+{_CURRENCY}?-?\d(?:[\d.,]*\d)?", "", "Checked",
    ),
)  # fmt: skip
"""Forms of a number that are rewritten to digits with a sign and a point."""

MAGNITUDES = {
    "hundred": 2, "thousand": 3, "million": 6, "billion": 9,
    "千": 3, "万": 4, "萬": 4, "亿": 8, "億": 8, "兆": 12,
}  # fmt: skip
"""Words after a number -> the power of ten that they multiply it by (source: CLDR, compact decimal
formats)."""

REASON = _marker("reason", "en", r",?\s+\b(?:because|since|as)\b.*", "Checked")
"""Words after an answer that explain it; their numbers are not the answer."""

ALTERNATIVES = _marker(
    "alternatives", "",
    r"\s*(?:[^\W\d]+\s+)?(?:or|and|to|through|oder|und|bis|ou|et|o|y|или|и)\s+(?:[$€£]\s?)?-?"
    r"|\s*[~–—]\s*(?:[$€£]\s?)?|\s*或\s*|\s*または\s*",
    "Checked",
)  # fmt: skip
"""Text between two numbers of which neither alone is the answer: `5 or 6`, `5 to 6`."""

OPERATOR = _marker(
    "operator", "",
    rf"\s*\)*\s*(?:[-+*/×÷·^]|x(?![a-z])|times|plus|minus|divided by)\s*\(*\s*{_CURRENCY}?\s*\(*",
    "Checked",
)  # fmt: skip
"""Text between two numbers of a calculation: `12 - 5` without its result is no answer."""

_NEGATION = (
    r"(?:\b(?:not|neither|nor|never|cannot be|rather than|instead of|except|excludes?|excluded|"
    r"rules? out|eliminates?)|n't)"
)

_MORE_LETTERS = rf"(?:\s*(?:,|,?\s*or|,?\s*nor|,?\s*and)\s*{LETTER})*"

LETTER_REWRITES = (
    _rewrite(
        "negated letters",
        rf"{_NEGATION}\s+(?:options?\s+|choices?\s+|answers?\s+)?{LETTER}"
        rf"{_MORE_LETTERS}",
        "", "Checked",
    ),
    _rewrite(
        "rejected letter",
        rf"(?<!\w){LETTER}{_MORE_LETTERS}\s+(?:is|are|was|can|could|does|do)\s*(?:n't|not|wrong|incorrect|false|"
        r"ruled out|eliminated|impossible)\b",
        "", "Checked",
    ),
)  # fmt: skip
"""Option letters that a text rejects: `is not (A) but (C)`, `(A) is wrong`."""

_NAMED_LETTER = (
    r"\(?((?-i:[B-HJ-Z]|[AI](?!\s+(?!because|since|as|and|or|which|but|not|for)[a-z])))\)?(?![\w'])"
)

LETTER_FORMS = (
    _marker(
        "letter first", "", r"^[\s*\"'(\[{]*((?-i:[A-Z]))(?=\s*(?:$|[.):,;\]}*]|[-–—]\s))",
        "Harness",
    ),
    _marker("parenthesised letter", "", r"\(\s*([A-Z])\s*\)", "BBH"),
    _marker(
        "named option", "en",
        r"\b(?:option|choice|choose|pick|select|go with)\s*:?\s*(?:option\s+)?" + _NAMED_LETTER,
        "Checked",
    ),
    _marker(
        "identified letter", "en",
        r"\b(?:it|that|this)(?:'s|\s+(?:is|must be|has to be|would be))\s+"
        rf"{_NAMED_LETTER}(?=\s*(?:$|[^\w\s]))",
        "Checked",
    ),
    _marker("contrasted letter", "en", r"\bbut\s+(?:rather\s+)?" + _NAMED_LETTER, "Checked"),
    _marker(
        "letter is right", "en",
        r"(?<![\w'])((?-i:[A-Z]))\)?\s+is\s+(?:the\s+)?(?:most\s+)?(?:correct|right|best|answer)\b",
        "Checked",
    ),
)  # fmt: skip
"""Forms in which a text names an option by its letter, with or without a marker."""

MARKED_LETTER_FORMS = (
    *LETTER_FORMS,
    _marker("bare letter", "", r"(?<![\w'(])((?-i:[B-HJ-Z]))(?![\w'])", "FLAN"),
    _marker(
        "letter, not an article", "en",
        r"(?<![\w'(])((?-i:[AI]))(?![\w'])(?=\s*(?:$|[^\w\s])|\s+(?:because|since|as|and|or|which|but|not|for)\b)",
        "Checked",
    ),
    _marker("lower-case letter", "", r"^[\s*:]*([a-h])(?=\s*(?:$|[.):,;]))", "FLAN"),
)  # fmt: skip
"""The same after a marker. `A` and `I` are English words unless punctuation or a conjunction
follows."""

NO_DETERMINER = _rewrite(
    "no as a determiner",
    r"(?<!\w)no\s+(?!(?:because|since|as|it|he|she|they|we|i|this|that|there|these|and|but|so|or|is"
    r"|means|the)\b)(?=[^\W\d])",
    "", "Checked",
)  # fmt: skip
"""The word "no" before a noun is no answer: "no doubt"."""

NEGATED_OPTION = _marker(
    "negated option", "en",
    r"(?:\b(?:not|cannot be|never|neither|nor|no longer|far from|hardly)\s+|n't\s+)"
    r"(?:(?:\w+ly|a|an|the|actually)\s+){0,2}",
    "Checked",
)  # fmt: skip
"""Words before an option that reject it; of two options the text then names the other."""

REJECTED_OPTION = _marker(
    "rejected option", "en",
    r"\s+(?:is|are|was)\s+"
    r"(?:wrong|incorrect|impossible|ruled out|not (?:correct|right|possible))\b",
    "Checked",
)  # fmt: skip
"""Words after an option that reject it."""

LEADING_OPTION_END = _marker(
    "leading option", "en", r"\)?\s*(?:$|[.,:;!–—\n-])|\)?\s+(?:because|since|as)\b", "Checked",
)  # fmt: skip
"""Text after an option at the start of a text that answers with it: "Yes, it is"."""

JOINED_OPTIONS = _marker(
    "joined options", "en",
    r"[\s()*]*(?:,|/|&|,?\s*\b(?:or|and|and/or|nor)\b)?(?:\s*(?:option|choice))?[\s()*]*",
    "Checked",
)  # fmt: skip
"""Text between two options of which neither alone is the answer: "(A) or (B)"."""

PROCEDURES = (
    Rule(name="last marker with an answer", source="Checked"),
    Rule(name="first number after the marker", source="Harness"),
    Rule(name="last number of the text", source="Harness"),
    Rule(name="side of an equation without a calculation", source="Checked"),
    Rule(name="fraction", source="Checked"),
    Rule(name="digit groups", source="CLDR"),
    Rule(name="decimal separator", source="CLDR"),
    Rule(name="separators of no notation", source="Checked"),
    Rule(name="no-break spaces in digits", source="SI"),
    Rule(name="native digits", source="Unicode"),
    Rule(name="magnitude word", source="CLDR"),
    Rule(name="scientific notation", source="Checked"),
    Rule(name="percent and currency signs", source="Harness"),
    Rule(name="list of numbers", source="ASDiv (Miao et al., arXiv 2106.15772)"),
    Rule(name="number by value", source="Harness"),
    Rule(name="text without a number", source="Harness"),
    Rule(name="text after the marker", source="BBH"),
    Rule(name="complete text", source="Harness"),
    Rule(name="spelling of clock times and ratios", source="ASDiv (Miao et al., arXiv 2106.15772)"),
    Rule(name="text that is an option", source="Harness"),
    Rule(name="option after the marker", source="BBH"),
    Rule(name="letter outside the options", source="BBH"),
    Rule(name="only option in the text", source="Harness"),
    Rule(name="several options without a conclusion", source="Checked"),
    Rule(name="longest option", source="Checked"),
)
"""Rules without a pattern of their own, which the functions of this package implement."""

RULES: tuple[Rule, ...] = (
    *MARKERS, ASSESSMENT, CORRECTION, CONCLUSION, SENTENCE_END, *SYMBOL_REWRITES, *NUMBER_REWRITES,
    REASON, ALTERNATIVES, OPERATOR, *LETTER_REWRITES, *MARKED_LETTER_FORMS, NO_DETERMINER,
    NEGATED_OPTION, REJECTED_OPTION, LEADING_OPTION_END, JOINED_OPTIONS, *PROCEDURES,
)  # fmt: skip
"""All rules; each has examples in tests/models/evaluation/extraction/cases.jsonl."""
