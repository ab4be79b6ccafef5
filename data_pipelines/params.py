"""Parameters of the data room: `data_pipelines.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

MIXTURES = ("muffin", "t0_sf", "niv2", "cot")


@dataclass(frozen=True, kw_only=True)
class SampleParams:
    """The generated FLAN-like sample (`data_pipelines.fetch.sample`)."""

    seed: int = 0
    """Another seed is another sample."""
    examples_per_family: int = 1200
    """Training rows of each task family that is not held out."""
    heldout_items: int = 150
    """Evaluation items of each held-out family."""
    text_documents: int = 20000
    """Plain documents for pre-training."""

    def __post_init__(self) -> None:
        for name in ("examples_per_family", "heldout_items", "text_documents"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class FetchParams:
    """What is brought into data/raw."""

    sample: SampleParams | None = None
    """The generated sample; null to do without."""
    root: str = ""
    """Folder below which the files of `files` lie."""
    files: dict[str, str] = field(default_factory=dict)
    """Folder in data/raw -> glob below `root`. Folders: muffin, t0_sf, niv2, cot, text and
    benchmarks/SUITE."""
    pins: str = ""
    """File in sha256sum format with the expected hash of each file below `root`."""

    def __post_init__(self) -> None:
        if self.sample is None and not self.files:
            raise ValueError("nothing to fetch: give a sample, or files and their root")
        if self.files and not self.root:
            raise ValueError("files are named but root is empty: say where they lie")
        allowed = (*MIXTURES, "text")
        for folder in self.files:
            if folder not in allowed and not folder.startswith("benchmarks/"):
                raise ValueError(
                    f"files.{folder}: must be one of {', '.join(allowed)} or benchmarks/SUITE"
                )


@dataclass(frozen=True, kw_only=True)
class BenchmarksParams:
    """Evaluation items (`data_pipelines.benchmarks`)."""

    limit: int | None = None
    """Items kept of each task, the first ones; null keeps all. A limit marks scores partial."""
    seed: int = 0
    """Chooses which items a limit keeps."""


@dataclass(frozen=True, kw_only=True)
class MixParams:
    """The mixture (`data_pipelines.mix`). Shares and caps: Chung et al., arXiv 2210.11416."""

    seed: int = 0
    examples: int = 24000
    """Examples aimed at, training and validation together."""
    shares: dict[str, float] = field(
        default_factory=lambda: {"muffin": 46.0, "t0_sf": 27.9, "niv2": 24.2, "cot": 1.8}
    )
    """Share of each mixture, scaled to 1 over those that have data."""
    caps: dict[str, int] = field(
        default_factory=lambda: {"muffin": 30000, "t0_sf": 20000, "niv2": 5000, "cot": 100000}
    )
    """Within a mixture a task's rate is proportional to min(its examples, the cap)."""
    cot_rationale_share: float = 0.5
    """Part of the CoT rows that are asked for their reasoning; the rest answer directly."""
    validation_share: float = 0.02
    """Part of the examples kept from training, to measure the loss on."""
    max_quarantine_share: float = 0.05
    """A source that loses more of its rows than this fails."""
    text: str = "files"
    """Where pre-training text comes from: files (data/raw/text) or examples (their content)."""

    def __post_init__(self) -> None:
        for name in ("shares", "caps"):
            unknown = set(getattr(self, name)) - set(MIXTURES)
            if unknown:
                raise ValueError(f"{name}: {sorted(unknown)} is not one of {', '.join(MIXTURES)}")
        if any(share < 0 for share in self.shares.values()) or not sum(self.shares.values()):
            raise ValueError("shares must not be negative, and not all 0")
        for name in ("cot_rationale_share", "validation_share", "max_quarantine_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1)")
        if self.text not in ("files", "examples"):
            raise ValueError("text must be files or examples")
        if self.examples < 1:
            raise ValueError("examples must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ValidateParams:
    """Limits of the expectations (`data_pipelines.validate`)."""

    share_tolerance: float = 0.1
    """Largest difference between a mixture's realised and target share."""
    max_input_characters: int = 20000
    min_examples: int = 100
    """Fewest examples a mixture that is asked for may hold."""
    max_duplicate_share: float = 0.2
    """Largest part of a mixture that repeats another example word for word."""


@dataclass(frozen=True, kw_only=True)
class TokenizerParams:
    """The SentencePiece model (`data_pipelines.tokenizer`)."""

    vocab_size: int = 1000
    """Pieces aimed at, sentinels included; fewer where the text has not that many."""
    sentinels: int = 16
    """<extra_id_0> ..: the marks of span corruption (T5 has 100)."""
    model: str = ""
    """An existing SentencePiece model file to use instead of training one."""
    max_sentences: int = 200000
    """Text sampled for training the tokenizer."""

    def __post_init__(self) -> None:
        if self.vocab_size <= self.sentinels + 16:
            raise ValueError("vocab_size leaves no room beside the sentinels")


@dataclass(frozen=True, kw_only=True)
class PackParams:
    """Fixed-length rows (`data_pipelines.pack`)."""

    encoder_length: int = 128
    """Tokens of a packed row that the encoder reads."""
    decoder_length: int = 48
    """Tokens of a packed row that the decoder predicts."""
    rows_per_shard: int = 4096
    seed: int = 0
    span_corruption_share: float = 0.5
    """Pre-training rows made by span corruption; the rest are prefix language modelling."""
    noise_density: float = 0.15
    """Part of a text that span corruption hides (arXiv 1910.10683, section 3.1.4)."""
    mean_span: float = 3.0
    """Mean length of a hidden span, in tokens."""

    def __post_init__(self) -> None:
        if self.encoder_length < 8 or self.decoder_length < 8:
            raise ValueError("encoder_length and decoder_length must be at least 8")
        if self.rows_per_shard < 1:
            raise ValueError("rows_per_shard must be at least 1")


@dataclass(frozen=True, kw_only=True)
class DataParams:
    """Everything between a source and a packed shard."""

    fetch: FetchParams
    benchmarks: BenchmarksParams = field(default_factory=BenchmarksParams)
    mix: MixParams = field(default_factory=MixParams)
    validate: ValidateParams = field(default_factory=ValidateParams)
    tokenizer: TokenizerParams = field(default_factory=TokenizerParams)
    pack: PackParams = field(default_factory=PackParams)
