"""The predictor behind lm-evaluation-harness's model interface."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from data_pipelines.progress import progress_bar
from models.evaluation.batches import Request, RequestBatch, Response, make_batches
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.response_cache import ResponseCache

RunBatches = Callable[[Sequence[RequestBatch]], Iterable[tuple[RequestBatch, list[Response]]]]


class Seq2SeqLM(LM):  # type: ignore[misc]
    """The predictor as a model of lm-evaluation-harness.

    The harness calls `loglikelihood` for multiple choice, `generate_until` for free text.

    Args:
        predictor: counts the tokens of prompts.
        run_batches: yields batches with their responses, in any order.
        cache: responses of batches that an earlier, interrupted evaluation completed.
        batch_size: maximum number of requests of a batch.
        max_batch_tokens: maximum number of input tokens of a batch, padding included.
    """

    def __init__(
        self,
        predictor: Seq2SeqPredictor,
        run_batches: RunBatches,
        cache: ResponseCache,
        *,
        batch_size: int,
        max_batch_tokens: int,
    ) -> None:
        super().__init__()
        self.predictor, self.run_batches, self.cache = predictor, run_batches, cache
        self.batch_size, self.max_batch_tokens = batch_size, max_batch_tokens
        self.responses: dict[tuple[str, int], Response] = {}
        """(Prompt, max_new_tokens; 0 for multiple choice) -> response. The harness's log holds the
        text or the scores of a response, but not its token counts."""

    def loglikelihood(self, requests: list[Instance], **_: Any) -> list[tuple[float, bool]]:
        """Return (log-probability, is greedy) of each (prompt, continuation)."""
        answer_index: dict[str, dict[str, int]] = defaultdict(dict)
        for request in requests:
            prompt, answer = request.args
            answer_index[prompt].setdefault(answer.strip(), len(answer_index[prompt]))
        self._run(
            [Request(prompt=p, answers=tuple(answers)) for p, answers in answer_index.items()],
            "score",
        )
        results = []
        for request in requests:
            prompt, answer = request.args
            response, index = self.responses[prompt, 0], answer_index[prompt][answer.strip()]
            results.append((response.log_probs[index], response.is_greedy[index]))
        return results

    def generate_until(self, requests: list[Instance], **_: Any) -> list[str]:
        """Return greedy text, cut at the first stop string of the request.

        A stop string that begins with a line feed also matches at the start of the text.
        """
        self._run(
            [
                Request(prompt=prompt, max_new_tokens=int(options["max_gen_toks"]))
                for prompt, options in (request.args for request in requests)
            ],
            "generate",
        )
        texts = []
        for request in requests:
            prompt, options = request.args
            text = self.responses[prompt, int(options["max_gen_toks"])].text
            for stop in options.get("until", []):
                if stop.startswith("\n") and text.startswith(stop[1:]):
                    text = ""
                text = text.split(stop)[0] if stop else text
            texts.append(text)
        return texts

    def loglikelihood_rolling(self, requests: list[Instance], **_: Any) -> list[float]:
        raise NotImplementedError("an encoder-decoder has no perplexity of plain text")

    def _run(self, requests: list[Request], description: str) -> None:
        """Fill `responses` from the cache and from the model."""
        batches = make_batches(
            requests,
            lambda prompt: len(self.predictor.encode(prompt)),
            batch_size=self.batch_size,
            max_batch_tokens=self.max_batch_tokens,
        )
        missing = [batch for batch in batches if batch.digest not in self.cache.by_digest]
        total = sum(len(batch.requests) for batch in batches)
        with progress_bar(desc=description, unit="item", total=total) as bar:
            bar.update(total - sum(len(batch.requests) for batch in missing))
            for batch, responses in self.run_batches(missing):
                self.cache.add(batch, responses)
                bar.update(len(responses))
        for batch in batches:
            responses = self.cache.by_digest[batch.digest]
            for request, response in zip(batch.requests, responses, strict=True):
                self.responses[request.prompt, request.max_new_tokens] = response
