"""Parameters of the data stages: `data_pipelines.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pydantic import Field

from data_pipelines.bounds import MAX_COUNT, Count, CountOrZero, Length, Rate, Retries, Seed, Share
from data_pipelines.suggestions import did_you_mean

Mixture = Literal["muffin", "t0_sf", "niv2", "cot"]
MIXTURES: tuple[Mixture, ...] = get_args(Mixture)

LicenceTerms = Literal["open", "share-alike", "non-commercial", "unstated"]
"""Terms of use of a source.

`open`: any use with attribution. `share-alike`: any use with attribution, but derived works must
have the same licence. `non-commercial`: no commercial use. `unstated`: the publisher states none.
"""
TERMS: tuple[LicenceTerms, ...] = get_args(LicenceTerms)

PretrainingObjective = Literal["span_corruption", "prefix_lm"]
"""Pre-training objectives; each has a packed corpus of its own under data/packed."""
PRETRAINING_OBJECTIVES: tuple[PretrainingObjective, ...] = get_args(PretrainingObjective)

FewShotPatterns = Literal["single", "flan_v2"]
"""One separator, or the forms of prompts of FLAN v2 (mixing/few_shot_patterns.py)."""

CleanAction = Literal["drop", "flag"]
"""Remove the rows, or keep them and list the reasons in their column `flags`."""


@dataclass(frozen=True, kw_only=True)
class SampleParams:
    """The generated FLAN-like sample (`data_pipelines.fetch.sample`)."""

    seed: Seed = 0
    """Seed of the generator."""
    examples_per_family: Count = 1200
    """Training rows of each rule family that is not held out. A knowledge family has one row for
    each person that instructions name."""
    held_out_items: Count = 150
    """Evaluation items of each family of a suite; fewer where there are fewer people."""
    text_documents: Count = 20000
    """Plain-text documents for pre-training, besides the statements of the facts."""
    model_parameters: Count = 90_000
    """Parameters of the dense model, from which the number of facts follows."""
    facts_bits_per_parameter: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Entropy of the facts in bits for each of `model_parameters`. Language models hold at most
    about 2 bits a parameter, and 1 after 100 exposures of a fact (arXiv 2404.05405)."""


@dataclass(frozen=True, kw_only=True)
class FetchParams:
    """Sources that are fetched into data/raw (`data_pipelines.fetch`)."""

    sample: SampleParams | None = None
    """The generated sample; null for none."""
    sources: tuple[str, ...] = ()
    """Sources of the catalog, by name or shell pattern, e.g. `cot/*`; `flanmoe data catalog` lists
    them."""
    root: str = ""
    """Folder or fsspec URL that contains the files under the paths of the catalog. Empty: download
    each source from its published address."""
    catalog: str = ""
    """Path of a catalog that replaces data_pipelines/catalog.yaml."""
    verify: bool = True
    """Verify files against the hashes next to the catalog, and list the files without a hash. Set
    to false for files of the same formats with other content; sources matched by a pattern but
    missing below the root are then left out, with a message that names the files."""
    licences: tuple[LicenceTerms, ...] = TERMS
    """Accepted terms of use; sources under other terms are skipped with a message."""
    retries: Retries = 4
    """Retries of a failed download, with exponential backoff."""

    def __post_init__(self) -> None:
        if self.sample is None and not self.sources:
            raise ValueError(
                "sample: null leaves nothing to fetch without sources; set it, or name sources"
            )
        if not self.licences:
            raise ValueError(f"licences: [] accepts no source; list some of {', '.join(TERMS)}")


@dataclass(frozen=True, kw_only=True)
class ReadParams:
    """Rendering of source rows as examples (`data_pipelines.read`)."""

    seed: Seed = 0
    """Seed of the choice of template and form of each row."""
    cot_rationale_share: Share = 0.5
    """Share of CoT rows, inverted rows aside, whose target is the rationale and the answer; the
    target of the others is the answer only."""
    options_share: Share = 0.5
    """Share of Muffin rows with answer options, inverted rows aside, whose prompt lists the
    options."""
    inversion_share: Share = 0.3
    """Share of CoT and Muffin rows rendered by an input-inversion template (from answer to
    question), for tasks that have such templates (arXiv 2301.13688, section 3)."""
    niv2_examples_share: Share = 0.5
    """Share of NIV2 rows whose prompt contains the task's published examples as exemplars."""
    niv2_split: Literal["official", "all"] = "official"
    """`official`: the tasks of the published test list are held out; `all`: train on all tasks."""
    t0_sets: tuple[Literal["BASE", "GPT_EVAL", "SGLUE"], ...] = ("BASE", "GPT_EVAL", "SGLUE")
    """Training sets of T0 (`BASE`), T0+ (`GPT_EVAL`) and T0++ (`SGLUE`) that are rendered."""
    max_quarantine_share: Share = 0.05
    """Largest share of rejected rows of a source; with more, the stage fails."""
    max_field_characters: Count = 200_000
    """Longest inputs or targets in characters; longer rows are rejected."""
    part_mb: Annotated[int, Field(ge=1, le=2047)] = 32
    """Size in MiB of the parts into which line-oriented files are split for parallel reading."""


@dataclass(frozen=True, kw_only=True)
class CleanParams:
    """Deduplication and removal of overlaps with evaluation suites (`data_pipelines.clean`)."""

    duplicates: CleanAction = "drop"
    """`drop` all but one of a set of duplicates, or keep all and `flag` the others."""
    jaccard_threshold: Annotated[float, Field(ge=0.5, le=1)] = 0.85
    """Smallest estimated Jaccard similarity (MinHash) at which two rows with the same answer are
    near duplicates; 1 disables the search for near duplicates."""
    contamination: CleanAction = "drop"
    """`drop` rows that overlap with an evaluation item, or keep and `flag` them."""
    ngram: Annotated[int, Field(ge=5, le=1000)] = 13
    """Number of consecutive words that count as an overlap (arXiv 2005.14165, appendix C)."""
    max_ngram_items: Count = 10
    """Largest number of items of a suite that may contain an n-gram; an n-gram in more items is
    boilerplate and is ignored in all suites. A passage of several items counts once."""
    exclude_tasks: tuple[str, ...] = ("*mmmlu*",)
    """Shell patterns of tasks to exclude, in any case. NIV2's 57 `mmmlu` tasks, which are MMLU
    itself, are excluded even if no pattern matches them."""


@dataclass(frozen=True, kw_only=True)
class MixParams:
    """The mixture (`data_pipelines.mix`); shares and caps as in Chung et al., arXiv 2210.11416."""

    seed: Seed = 0
    """Seed of the selection, the few-shot exemplars and the order."""
    num_examples: Count = 24000
    """Target number of examples, training and validation together."""
    shares: dict[str, Annotated[float, Field(ge=0, le=1e9)]] = field(
        default_factory=lambda: {"muffin": 46.0, "t0_sf": 27.9, "niv2": 24.2, "cot": 1.8}
    )
    """Share of each mixture, normalised over the mixtures that have data; without an entry 0.
    Shares other than the default may name only mixtures that have a source."""
    caps: dict[str, Count] = field(
        default_factory=lambda: {"muffin": 30000, "t0_sf": 20000, "niv2": 5000, "cot": 100000}
    )
    """Cap of examples-proportional mixing: within a mixture, a task's rate is proportional to
    min(its number of examples, the cap). A mixture without an entry has no cap."""
    temperature: Annotated[float, Field(ge=1, le=1e6)] = 1.0
    """Mixing temperature: rates are raised to 1/temperature, so values above 1 upweight small
    tasks (arXiv 1910.10683, section 3.5.2)."""
    few_shot_share: Share = 0.5
    """Share of the examples that allow exemplars to which few-shot exemplars of the same task and
    template are prepended."""
    few_shot_patterns: FewShotPatterns = "single"
    """`single`: 1 to `max_exemplars` exemplars, separated by a blank line. `flan_v2`: as published
    (arXiv 2301.13688), patterns of each task with names for input and target and varied separators;
    5 exemplars of several templates, or about 2.5 of one template."""
    max_exemplars: Count = 5
    """Largest number of exemplars prepended to an example with few_shot_patterns `single`."""
    max_few_shot_characters: Count = 1600
    """Largest length in characters of inputs with prepended exemplars; exemplars that do not fit
    are omitted. FLAN v2 allows 1,920 of its 2,048 encoder tokens, 94 %: about 4 characters each in
    English text with T5's vocabulary."""
    repeat: bool = False
    """Repeat the rows of a task that has fewer than its quota, as seqio does, so that the realised
    shares equal the targets. A repeated row has other exemplars and stays in its split."""
    max_repeats: Count = 16
    """With `repeat`: largest number of times that a row is in the mixture."""
    validation_share: Rate = 0.02
    """Share of examples in the validation split."""
    text: Literal["files", "examples"] = "files"
    """Source of pre-training text: `files` (sources of mixture `text`) or `examples` (inputs and
    targets of the training split)."""
    examples_per_shard: Count = 32768
    """Number of examples in each file of the mixture; each file is packed into one shard."""

    def __post_init__(self) -> None:
        for name in ("shares", "caps"):
            for mixture in getattr(self, name):
                if mixture not in MIXTURES:
                    raise ValueError(
                        f"{name}.{mixture}: unknown mixture; {did_you_mean(mixture, MIXTURES)}"
                        f"allowed: {', '.join(MIXTURES)}"
                    )
        if not any(self.shares.values()):
            raise ValueError("shares: no share is above 0; raise that of a mixture to train on")


@dataclass(frozen=True, kw_only=True)
class ValidateParams:
    """Limits of the expectations (`data_pipelines.validate`)."""

    share_tolerance: Share = 0.1
    """Largest difference between a mixture's realised and target share; a warning."""
    max_input_characters: Count = 20000
    """Longest inputs or targets of an example in characters; blocking."""
    min_examples: CountOrZero = 100
    """Smallest number of examples of each mixture that has data; blocking."""
    max_duplicate_share: Share = 0.2
    """Largest share of a mixture's examples that repeat another example exactly; a warning."""
    max_answer_share: Share = 0.95
    """Largest share of a task's multiple-choice examples with the same answer; a warning."""
    min_english_share: Share = 0.8
    """Smallest share of a mixture's examples classified as English; a warning."""
    max_contaminated_share: Share = 0.0
    """Largest share of an evaluation suite's items that overlap with the mixture; a warning. The
    promotion gate has its own limit."""


@dataclass(frozen=True, kw_only=True)
class TokenizerParams:
    """The SentencePiece model (`data_pipelines.tokenizer`)."""

    vocab_size: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Target vocabulary size, sentinels included; smaller if the text yields fewer pieces."""
    num_sentinels: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Number of span-corruption sentinels, <extra_id_0> and up (T5 has 100). A masked span needs
    one; `flanmoe check` says how many the packed length needs."""
    model_file: str = ""
    """An existing SentencePiece model file to use instead of training one."""
    max_sentences: Count = 200000
    """Number of texts sampled for training the tokenizer."""
    seeds: Literal["substrings", "words"] = "substrings"
    """Candidate pieces from which SentencePiece selects: frequent substrings, or the words of the
    texts and single characters, so that each frequent word is one piece."""

    def __post_init__(self) -> None:
        if self.vocab_size <= self.num_sentinels + 16:
            raise ValueError(
                f"vocab_size: {self.vocab_size} must exceed num_sentinels, {self.num_sentinels}, "
                "by more than 16"
            )


@dataclass(frozen=True, kw_only=True)
class PackParams:
    """Packing into fixed-length rows (`data_pipelines.pack`)."""

    encoder_length: Length = 128
    """Encoder tokens per packed row."""
    decoder_length: Length = 48
    """Decoder tokens per packed row."""
    seed: Seed = 0
    """Seed of span corruption and of the prefix-LM split points."""
    noise_density: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of tokens that span corruption masks (arXiv 1910.10683, section 3.1.4)."""
    prefix_lm_target_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Largest share of a text's tokens that prefix LM predicts, at least one token. 1: any split
    as in T5; UL2 predicts a quarter (arXiv 2205.05131, S-denoiser)."""
    text_share: Rate = 0.0
    """Share of plain text among the pairs of the corpus `train`, as prefix LM, so that instruction
    tuning does not overwrite what pre-training stored; at most all texts once."""
    mean_noise_span_length: Annotated[float, Field(ge=1, le=65536)] = 3.0
    """Mean length of a masked span in tokens. Each span needs a sentinel
    (`tokenizer.num_sentinels`); with too few, texts are split into shorter pieces."""


@dataclass(frozen=True, kw_only=True)
class EngineParams:
    """Execution of a stage's parts. It does not affect results, so it is not a DVC dependency."""

    engine: Literal["local", "dask"] = "local"
    """`local`: worker processes on this machine; `dask`: a Dask cluster."""
    workers: Annotated[int, Field(ge=0, le=4096)] = 0
    """Number of worker processes; 0: one per CPU core."""
    scheduler: str = ""
    """Address of a running Dask scheduler, e.g. tcp://10.0.0.1:8786. Empty: each run starts its
    own cluster."""
    memory_mb: Annotated[int, Field(ge=64, le=MAX_COUNT)] = 512
    """Memory limit of joins and sorts in MB (10^6 bytes); beyond the limit they spill to disk."""

    def __post_init__(self) -> None:
        if self.scheduler and self.engine != "dask":
            raise ValueError(f"scheduler: {self.scheduler!r} requires engine: dask")


@dataclass(frozen=True, kw_only=True)
class DataParams(EngineParams):
    """All data stages, from sources to packed shards (`data_pipelines`)."""

    fetch: FetchParams
    read: ReadParams
    clean: CleanParams
    mix: MixParams
    validate: ValidateParams
    tokenizer: TokenizerParams
    pack: PackParams
