"""The project's model behind lm-evaluation-harness's model interface."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from models.evaluation.answering import Answerer


class EncoderDecoder(LM):  # type: ignore[misc]
    """`loglikelihood` for options, `generate_until` for free text."""

    def __init__(self, answerer: Answerer, batch_items: int, max_new_tokens: int) -> None:
        super().__init__()
        self.answerer = answerer
        self.batch_items = batch_items
        self.max_new_tokens = max_new_tokens

    def loglikelihood(self, requests: list[Instance], **_: Any) -> list[tuple[float, bool]]:
        """(log-probability, is greedy) of each (prompt, continuation)."""
        pairs = [(request.args[0], request.args[1].strip()) for request in requests]
        lengths = [len(prompt) for prompt, _ in pairs]
        # Like lengths together, and the options of a question beside each other.
        order = sorted(range(len(pairs)), key=lambda i: (lengths[i], pairs[i][0], i))
        results: list[tuple[float, bool]] = [(0.0, False)] * len(pairs)
        for chosen in self._chunks(order, "score"):
            scores = self.answerer.score([pairs[i] for i in chosen])
            for i, score in zip(chosen, scores, strict=True):
                results[i] = score
        return results

    def generate_until(self, requests: list[Instance], **_: Any) -> list[str]:
        """Greedy text, cut at the first stop string of the request."""
        prompts = [request.args[0] for request in requests]
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        results = [""] * len(prompts)
        for chosen in self._chunks(order, "generate"):
            wanted = [requests[i].args[1] for i in chosen]
            limit = max(int(w.get("max_gen_toks", self.max_new_tokens)) for w in wanted)
            texts = self.answerer.generate([prompts[i] for i in chosen], limit)
            for i, text, options in zip(chosen, texts, wanted, strict=True):
                for stop in options.get("until", []):
                    text = text.split(stop)[0] if stop else text
                results[i] = text
        return results

    def loglikelihood_rolling(self, requests: list[Instance], **_: Any) -> list[float]:
        raise NotImplementedError("an encoder-decoder has no perplexity of plain text")

    def _chunks(self, order: list[int], what: str) -> Any:
        chunks = [
            order[start : start + self.batch_items]
            for start in range(0, len(order), self.batch_items)
        ]
        return tqdm(chunks, desc=what, unit="batch")
