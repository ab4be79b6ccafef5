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
    held_out_items: int = 150
    """Evaluation items of each held-out family."""
    text_documents: int = 20000
    """Plain documents for pre-training."""

    def __post_init__(self) -> None:
        for name in ("examples_per_family", "held_out_items", "text_documents"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


TERMS = ("open", "share-alike", "non-commercial", "unstated")
"""What a source's licence allows: anything with attribution, the same under the same licence, no
commercial use, or not stated by whoever publishes it."""


@dataclass(frozen=True, kw_only=True)
class FetchParams:
    """What is brought into data/raw."""

    sample: SampleParams | None = None
    """The generated sample; null to do without."""
    sources: tuple[str, ...] = ()
    """Sources of the catalog, by name or pattern, e.g. `cot/*` (`flanmoe data catalog` lists)."""
    root: str = ""
    """Folder, or any fsspec URL, below which the files lie as the catalog names them. Empty: each
    source is downloaded from where it is published."""
    catalog: str = ""
    """Another catalog than data_pipelines/catalog.yaml."""
    verify: bool = True
    """Whether files must have the hashes that stand beside the catalog; false for files of the
    same formats with other content. Then a source that a pattern names, and the root has no file
    of, is left out and said."""
    licences: tuple[str, ...] = TERMS
    """Terms of use that are accepted; sources under others are left out, and said."""
    retries: int = 4
    """Times a failing download is tried again, each time after twice the wait."""

    def __post_init__(self) -> None:
        if self.sample is None and not self.sources:
            raise ValueError("nothing to fetch: give a sample, or sources of the catalog")
        unknown = set(self.licences) - set(TERMS)
        if unknown:
            raise ValueError(f"licences: {sorted(unknown)} is not one of {', '.join(TERMS)}")
        if self.retries < 0:
            raise ValueError("retries must not be negative")


@dataclass(frozen=True, kw_only=True)
class ReadParams:
    """How source rows become examples (`data_pipelines.read`)."""

    seed: int = 0
    """Chooses each row's template and form."""
    cot_rationale_share: float = 0.5
    """Part of the CoT rows that are asked for their reasoning; the rest answer directly."""
    options_share: float = 0.5
    """Part of the rows with answer options that show them."""
    inversion_share: float = 0.3
    """Part of the rows asked the other way round, where a task has such templates
    (arXiv 2301.13688, section 3)."""
    niv2_examples_share: float = 0.5
    """Part of the NIV2 rows whose definition comes with worked examples: NIV2's few-shot form."""
    niv2_split: str = "official"
    """`official`: tasks of the published test list are held out; `all`: every task is trained on.
    """
    t0_sets: tuple[str, ...] = ("BASE", "GPT_EVAL", "SGLUE")
    """Training sets of T0 (`BASE`), T0+ (`GPT_EVAL`), T0++ (`SGLUE`) that are rendered."""
    max_quarantine_share: float = 0.05
    """A source that loses more of its rows than this fails."""
    max_field_characters: int = 200_000
    """A row with a longer field is refused."""
    part_mb: int = 32
    """Larger line-oriented files are read in parts of this size, side by side."""

    def __post_init__(self) -> None:
        for name in ("cot_rationale_share", "options_share", "inversion_share",
                     "niv2_examples_share", "max_quarantine_share"):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1]")
        if self.niv2_split not in ("official", "all"):
            raise ValueError("niv2_split must be official or all")
        unknown = set(self.t0_sets) - {"BASE", "GPT_EVAL", "SGLUE"}
        if unknown:
            raise ValueError(f"t0_sets: {sorted(unknown)} is not one of BASE, GPT_EVAL, SGLUE")
        if self.part_mb < 1 or self.max_field_characters < 1:
            raise ValueError("part_mb and max_field_characters must be at least 1")


ACTIONS = ("drop", "flag")


@dataclass(frozen=True, kw_only=True)
class CleanParams:
    """Duplicates and overlaps with evaluation suites (`data_pipelines.clean`)."""

    duplicates: str = "drop"
    """`drop` all but one of a set of duplicates, or keep and `flag` them."""
    near_similarity: float = 0.85
    """MinHash estimate of the Jaccard similarity from which two rows with the same answer are near
    duplicates; 1 looks for exact ones only."""
    contamination: str = "drop"
    """`drop` a row that overlaps with an evaluation item, or keep and `flag` it."""
    ngram: int = 13
    """Words in a row that count as an overlap (arXiv 2005.14165, appendix C)."""
    max_ngram_items: int = 10
    """An n-gram that more items of a suite share is its boilerplate and counts for nothing."""
    exclude_tasks: tuple[str, ...] = ("*mmmlu*",)
    """Tasks left out by name: NIV2's `mmmlu` tasks are MMLU itself, as FLAN's own list says."""

    def __post_init__(self) -> None:
        for name in ("duplicates", "contamination"):
            if getattr(self, name) not in ACTIONS:
                raise ValueError(f"{name} must be drop or flag")
        if not 0.5 <= self.near_similarity <= 1:
            raise ValueError("near_similarity must lie in [0.5, 1]")
        if self.ngram < 5 or self.max_ngram_items < 1:
            raise ValueError("ngram must be at least 5, max_ngram_items at least 1")


@dataclass(frozen=True, kw_only=True)
class MixParams:
    """The mixture (`data_pipelines.mix`). Shares and caps: Chung et al., arXiv 2210.11416."""

    seed: int = 0
    num_examples: int = 24000
    """Examples aimed at, training and validation together."""
    shares: dict[str, float] = field(
        default_factory=lambda: {"muffin": 46.0, "t0_sf": 27.9, "niv2": 24.2, "cot": 1.8}
    )
    """Share of each mixture, scaled to 1 over those that have data."""
    caps: dict[str, int] = field(
        default_factory=lambda: {"muffin": 30000, "t0_sf": 20000, "niv2": 5000, "cot": 100000}
    )
    """Within a mixture a task's rate is proportional to min(its examples, the cap)."""
    temperature: float = 1.0
    """Rates are raised to 1/temperature: above 1 small tasks weigh more (arXiv 1910.10683,
    section 3.5.2)."""
    few_shot_share: float = 0.5
    """Part of the examples with worked examples of the same task and template in front."""
    max_exemplars: int = 5
    """Most worked examples in front of one."""
    max_few_shot_characters: int = 1600
    """No more is put in front than makes inputs of this length."""
    validation_share: float = 0.02
    """Part of the examples kept from training, to measure the loss on."""
    text: str = "files"
    """Where pre-training text comes from: files (mixture text) or examples (their content)."""
    examples_per_shard: int = 32768
    """Examples in one part of the mixture, which is also packed together."""

    def __post_init__(self) -> None:
        for name in ("shares", "caps"):
            unknown = set(getattr(self, name)) - set(MIXTURES)
            if unknown:
                raise ValueError(f"{name}: {sorted(unknown)} is not one of {', '.join(MIXTURES)}")
        if any(share < 0 for share in self.shares.values()) or not sum(self.shares.values()):
            raise ValueError("shares must not be negative, and not all 0")
        if not 0 <= self.validation_share < 1:
            raise ValueError("validation_share must lie in [0, 1)")
        if not 0 <= self.few_shot_share <= 1:
            raise ValueError("few_shot_share must lie in [0, 1]")
        if self.text not in ("files", "examples"):
            raise ValueError("text must be files or examples")
        if self.num_examples < 1 or self.max_exemplars < 1 or self.examples_per_shard < 1:
            raise ValueError(
                "num_examples, max_exemplars and examples_per_shard must be at least 1"
            )
        if self.temperature < 1:
            raise ValueError("temperature must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ValidateParams:
    """Limits of the expectations (`data_pipelines.validate`)."""

    share_tolerance: float = 0.1
    """Largest difference between a mixture's realised and target share; more is a warning."""
    max_input_characters: int = 20000
    min_examples: int = 100
    """Fewest examples a mixture that is asked for may hold."""
    max_duplicate_share: float = 0.2
    """Largest part of a mixture that repeats another example word for word; more is a warning."""
    max_answer_share: float = 0.95
    """Largest part of a task's examples that have the same answer among options; a warning."""
    min_english_share: float = 0.8
    """Least part of a mixture's examples recognised as English; less is a warning."""
    max_contaminated_share: float = 0.0
    """Largest part of an evaluation suite's items that the mixture may overlap with; a warning,
    and a gate of its own at promotion."""


@dataclass(frozen=True, kw_only=True)
class TokenizerParams:
    """The SentencePiece model (`data_pipelines.tokenizer`)."""

    vocab_size: int = 1000
    """Pieces aimed at, sentinels included; fewer where the text has not that many."""
    num_sentinels: int = 16
    """<extra_id_0> ..: the marks of span corruption (T5 has 100)."""
    model_file: str = ""
    """An existing SentencePiece model file to use instead of training one."""
    max_sentences: int = 200000
    """Text sampled for training the tokenizer."""

    def __post_init__(self) -> None:
        if self.vocab_size <= self.num_sentinels + 16:
            raise ValueError("vocab_size leaves no room beside the sentinels")


@dataclass(frozen=True, kw_only=True)
class PackParams:
    """Fixed-length rows (`data_pipelines.pack`)."""

    encoder_length: int = 128
    """Tokens of a packed row that the encoder reads."""
    decoder_length: int = 48
    """Tokens of a packed row that the decoder predicts."""
    seed: int = 0
    span_corruption_share: float = 0.5
    """Pre-training rows made by span corruption; the rest are prefix language modelling."""
    noise_density: float = 0.15
    """Part of a text that span corruption hides (arXiv 1910.10683, section 3.1.4)."""
    mean_noise_span_length: float = 3.0
    """Mean length of a hidden span, in tokens."""

    def __post_init__(self) -> None:
        if self.encoder_length < 8 or self.decoder_length < 8:
            raise ValueError("encoder_length and decoder_length must be at least 8")


@dataclass(frozen=True, kw_only=True)
class EngineParams:
    """Where the parts of a stage run. Changes no byte of any result, so DVC does not look here."""

    engine: str = "local"
    """`local`: this machine's cores; `dask`: a Dask cluster."""
    workers: int = 0
    """Processes; 0: one a core."""
    scheduler: str = ""
    """Address of a running Dask scheduler, e.g. tcp://10.0.0.1:8786. Empty: a run starts a cluster
    of its own."""
    memory_mb: int = 512
    """What joins and sorts may hold in memory; beyond it they use the disk."""

    def __post_init__(self) -> None:
        if self.engine not in ("local", "dask"):
            raise ValueError("engine must be local or dask")
        if self.workers < 0:
            raise ValueError("workers must not be negative")
        if self.memory_mb < 64:
            raise ValueError("memory_mb must be at least 64")
        if self.scheduler and self.engine != "dask":
            raise ValueError("scheduler is named, but engine is not dask")


@dataclass(frozen=True, kw_only=True)
class DataParams(EngineParams):
    """Everything between a source and a packed shard."""

    fetch: FetchParams
    read: ReadParams = field(default_factory=ReadParams)
    clean: CleanParams = field(default_factory=CleanParams)
    mix: MixParams = field(default_factory=MixParams)
    validate: ValidateParams = field(default_factory=ValidateParams)
    tokenizer: TokenizerParams = field(default_factory=TokenizerParams)
    pack: PackParams = field(default_factory=PackParams)
