"""The project's model behind lm-evaluation-harness's model interface."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from models.evaluation.batches import Batch, Request, Response, batches
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.responses import ResponseCache

RunBatches = Callable[[Sequence[Batch]], Iterable[tuple[Batch, list[Response]]]]


class EncoderDecoder(LM):  # type: ignore[misc]
    """`loglikelihood` for options, `generate_until` for free text.

    `run_batches` has batches run_batches, in any order; `kept` holds those that have been.
    """

    def __init__(
        self, answerer: Seq2SeqPredictor, run_batches: RunBatches, kept: ResponseCache, *, items: int, tokens: int
    ) -> None:
        super().__init__()
        self.answerer, self.run_batches, self.kept = answerer, run_batches, kept
        self.items, self.most_tokens = items, tokens
        self.responses: dict[tuple[str, int], Response] = {}
        """(Prompt, its longest answer; 0: ranked) -> response: the harness passes on its text or
        scores alone."""

    def loglikelihood(self, requests: list[Instance], **_: Any) -> list[tuple[float, bool]]:
        """(log-probability, is greedy) of each (prompt, continuation)."""
        options: dict[str, dict[str, int]] = defaultdict(dict)
        for request in requests:
            prompt, answer = request.args
            options[prompt].setdefault(answer.strip(), len(options[prompt]))
        self._respond([Request(prompt=p, answers=tuple(o)) for p, o in options.items()], "score")
        results = []
        for request in requests:
            prompt, answer = request.args
            response, place = self.responses[prompt, 0], options[prompt][answer.strip()]
            results.append((response.logp[place], response.greedy[place]))
        return results

    def generate_until(self, requests: list[Instance], **_: Any) -> list[str]:
        """Greedy text, cut at the first stop string of the request."""
        asked = [
            Request(prompt=prompt, max_new_tokens=int(wanted["max_gen_toks"]))
            for prompt, wanted in (request.args for request in requests)
        ]
        self._respond(asked, "generate")
        results = []
        for request in requests:
            prompt, wanted = request.args
            text = self.responses[prompt, int(wanted["max_gen_toks"])].text
            for stop in wanted.get("until", []):
                text = text.split(stop)[0] if stop else text
            results.append(text)
        return results

    def loglikelihood_rolling(self, requests: list[Instance], **_: Any) -> list[float]:
        raise NotImplementedError("an encoder-decoder has no perplexity of plain text")

    def _respond(self, requests: list[Request], what: str) -> None:
        wanted = batches(requests, self._length, items=self.items, tokens=self.most_tokens)
        missing = [batch for batch in wanted if batch.digest not in self.kept.known]
        total = sum(len(batch.requests) for batch in wanted)
        with tqdm(desc=what, unit="item", total=total) as bar:
            bar.update(total - sum(len(batch.requests) for batch in missing))
            for batch, responses in self.run_batches(missing):
                self.kept.add(batch, responses)
                bar.update(len(responses))
        for batch in wanted:
            found = self.kept.known[batch.digest]
            for request, response in zip(batch.requests, found, strict=True):
                self.responses[request.prompt, request.max_new_tokens] = response

    def _length(self, prompt: str) -> int:
        return len(self.answerer.encode(prompt))
