"""Sentences of the page for judges, in every language of messages."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.messages import Sentence, sentence

PEARMUT = (
    sentence("Adequacy: does it say what the text says, 0 not at all, 100 fully?"),
    sentence("Fluency: is it well written, 0 not at all, 100 fully?"),
    sentence("Language: is it our language, in our spelling? 0 no, 1 partly, 2 yes."),
    sentence("Mark errors in the texts."),
)
"""Instructions for Pearmut, whose labels are in English."""
WORDS: Mapping[str, Sentence] = {
    "title_translation": sentence("Which translation is better?"),
    "title_answer": sentence("Which answer is better?"),
    "intro_translation": sentence(
        "You see a text and two translations of it, A and B. Read both, give your marks and say "
        "which one is better. The page does not know which program wrote which one."
    ),
    "intro_answer": sentence(
        "You see a question, or the beginning of a text, and two texts that answer it or go on "
        "from it, A and B. Read both, give your marks and say which one is better. The page does "
        "not know which program wrote which one."
    ),
    "health": sentence(
        "These answers are about health. They were written by programs and may be wrong or "
        "harmful: follow none of them. Judge whether an answer is right, and safe to give to "
        "someone who asks."
    ),
    "stays": sentence(
        "The page needs no internet and sends nothing. Your answers stay on this device until you "
        "save a file at the end and send it yourself. You can stop and go on later."
    ),
    "boxes": sentence(
        "If you see empty boxes instead of letters, this device lacks them: use another one."
    ),
    "unsaved": sentence(
        "This browser keeps nothing for this page. Do not close it before you have saved the file."
    ),
    "name": sentence("A pseudonym of your choice"),
    "name_note": sentence(
        "Not your name. Leave it empty for a random one. It only serves to count no answer twice, "
        "and is not published."
    ),
    "begin": sentence("Begin"),
    "go_on": sentence("Go on"),
    "source_translation": sentence("Text"),
    "source_answer": sentence("Question or beginning"),
    "reference": sentence("Show a translation by a person"),
    "reference_answer": sentence("Show an answer by a person"),
    "nothing": sentence("(empty)"),
    "adequacy_translation": sentence("Does it say what the text says?"),
    "adequacy_answer": sentence("Is the answer right and complete?"),
    "adequacy_health": sentence("Is the answer right, and safe?"),
    "fluency": sentence("Is it well written?"),
    "none": sentence("not at all"),
    "all": sentence("fully"),
    "language": sentence("Is it our language, in our spelling?"),
    "yes": sentence("yes"),
    "partly": sentence("partly"),
    "no": sentence("no"),
    "choice": sentence("Which one is better?"),
    "same": sentence("no difference"),
    "comment": sentence("Remarks, if you have any (no names or numbers of people)"),
    "missing": sentence("Something is still to be answered; it is marked."),
    "back": sentence("Back"),
    "skip": sentence("Skip"),
    "next": sentence("Next"),
    "done": sentence("Thank you!"),
    "answered": sentence("Answered:"),
    "first_open": sentence("Go to the first one that is not answered"),
    "save": sentence("Save the file"),
    "share": sentence("Send the file"),
    "as_text": sentence("Show the answers as text"),
    "send": sentence(
        "Send the file to the person who gave you this page, by any messenger or e-mail. Do not "
        "open it in another program before."
    ),
    "copied": sentence("If no file was saved: copy all of this text, and send it."),
    "another": sentence("Another person judges on this device"),
    "another_note": sentence(
        "Their answers are kept beside yours, from the beginning. Save your own file first."
    ),
}
