"""Tokenization by parts equals tokenization of the complete prompt."""

import sentencepiece as spm

from models.evaluation.prompt_tokenizer import PromptTokenizer
from tests.models.evaluation.factories import load_prompts, write_eval_data


def test_encode_by_parts_equals_encode_of_the_complete_prompt(tmp_path, spiece):
    write_eval_data(tmp_path)
    processor = spm.SentencePieceProcessor(model_file=str(spiece))
    tokenizer = PromptTokenizer(processor)
    assert tokenizer.splits_parts
    for suite, task in (("bbh_cot", "navigate"), ("reasoning_cot", "gsm8k")):
        for prompt in load_prompts(tmp_path, suite, task)[0]:
            assert tokenizer.encode(prompt.prompt) == processor.EncodeAsIds(prompt.prompt)
            assert tokenizer.encode(prompt.prompt) == processor.EncodeAsIds(prompt.prompt)


class CrossingProcessor:
    """A processor with a piece that crosses a space."""

    def EncodeAsIds(self, text):
        return [3] * len(text.split("\n\n"))

    def IdToPiece(self, i):
        return "a\u2581b" if i == 3 else "a"

    def unk_id(self):
        return 2

    def vocab_size(self):
        return 4


def test_encode_with_pieces_across_spaces_does_not_split_the_text():
    tokenizer = PromptTokenizer(CrossingProcessor())
    assert not tokenizer.splits_parts
    assert tokenizer.encode("a\n\nb") == [3, 3]
