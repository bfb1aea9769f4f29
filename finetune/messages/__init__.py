"""Messages for people: problems as codes, places and facts; sentences in their language.

`problem` and `sentence` keep an English template and its facts; the text is made at the edge, in
the language that is asked for. One PO file per language stands under `locale`; `extract.py` keeps
them current and lists the folders whose sentences are translated.
"""

from finetune.messages.locales import ENGLISH, available, chosen
from finetune.messages.problem import Place, Problem, problem
from finetune.messages.sentence import Sentence, counted, joined, phrase, sentence

__all__ = [
    "ENGLISH",
    "Place",
    "Problem",
    "Sentence",
    "available",
    "chosen",
    "counted",
    "joined",
    "phrase",
    "problem",
    "sentence",
]
