"""Everyday sentences in English and French, each with its negation. Written for this table.

As hard inputs, a sentence and its negation must not get the same translation. As texts, they help
to tell English and French from a language that no model knows (finetune.identify.naming).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NEGATED: Mapping[str, Sequence[tuple[str, str]]] = {
    "eng_Latn": (
        ("The shop is open today.", "The shop is not open today."),
        ("The water is safe to drink.", "The water is not safe to drink."),
        ("She will come tomorrow.", "She will not come tomorrow."),
        ("I understood the question.", "I did not understand the question."),
        ("The children went to school.", "The children did not go to school."),
        ("You should take this medicine.", "You should not take this medicine."),
        ("We have enough rice for the week.", "We do not have enough rice for the week."),
        ("He knows where the market is.", "He does not know where the market is."),
        ("The road is closed because of the rain.", "The road is not closed because of the rain."),
        ("My phone works in the village.", "My phone does not work in the village."),
        ("They paid for the seeds.", "They did not pay for the seeds."),
        ("The doctor is here this morning.", "The doctor is not here this morning."),
        ("It is too late to plant maize.", "It is not too late to plant maize."),
        (
            "The bus stops in front of the hospital.",
            "The bus does not stop in front of the hospital.",
        ),
        ("I have read your letter.", "I have not read your letter."),
        ("This word has two meanings.", "This word does not have two meanings."),
        ("The meeting begins at noon.", "The meeting does not begin at noon."),
        ("My sister can read and write.", "My sister cannot read and write."),
        ("The baby slept all night.", "The baby did not sleep all night."),
        ("Close the window when it rains.", "Do not close the window when it rains."),
        ("The fish is fresh.", "The fish is not fresh."),
        ("Our teacher speaks three languages.", "Our teacher does not speak three languages."),
        ("He was angry with his brother.", "He was not angry with his brother."),
        ("There is a bridge over the river.", "There is no bridge over the river."),
        ("You may enter the room now.", "You may not enter the room now."),
        ("The goats have eaten.", "The goats have not eaten."),
        ("I want to buy this cloth.", "I do not want to buy this cloth."),
        ("The price of oil went up.", "The price of oil did not go up."),
        (
            "She remembers her grandmother's songs.",
            "She does not remember her grandmother's songs.",
        ),
        ("We are afraid of the dog.", "We are not afraid of the dog."),
    ),
    "fra_Latn": (
        ("Le magasin est ouvert aujourd'hui.", "Le magasin n'est pas ouvert aujourd'hui."),
        ("On peut boire cette eau.", "On ne peut pas boire cette eau."),
        ("Elle viendra demain.", "Elle ne viendra pas demain."),
        ("J'ai compris la question.", "Je n'ai pas compris la question."),
        ("Les enfants sont allés à l'école.", "Les enfants ne sont pas allés à l'école."),
        ("Vous devez prendre ce médicament.", "Vous ne devez pas prendre ce médicament."),
        (
            "Nous avons assez de riz pour la semaine.",
            "Nous n'avons pas assez de riz pour la semaine.",
        ),
        ("Il sait où est le marché.", "Il ne sait pas où est le marché."),
        (
            "La route est fermée à cause de la pluie.",
            "La route n'est pas fermée à cause de la pluie.",
        ),
        ("Mon téléphone marche au village.", "Mon téléphone ne marche pas au village."),
        ("Ils ont payé les semences.", "Ils n'ont pas payé les semences."),
        ("Le médecin est là ce matin.", "Le médecin n'est pas là ce matin."),
        ("Il est trop tard pour semer le maïs.", "Il n'est pas trop tard pour semer le maïs."),
        ("Le bus s'arrête devant l'hôpital.", "Le bus ne s'arrête pas devant l'hôpital."),
        ("J'ai lu votre lettre.", "Je n'ai pas lu votre lettre."),
        ("Ce mot a deux sens.", "Ce mot n'a pas deux sens."),
        ("La réunion commence à midi.", "La réunion ne commence pas à midi."),
        ("Ma sœur sait lire et écrire.", "Ma sœur ne sait ni lire ni écrire."),
        ("Le bébé a dormi toute la nuit.", "Le bébé n'a pas dormi de toute la nuit."),
        ("Fermez la fenêtre quand il pleut.", "Ne fermez pas la fenêtre quand il pleut."),
        ("Le poisson est frais.", "Le poisson n'est pas frais."),
        ("Notre maître parle trois langues.", "Notre maître ne parle pas trois langues."),
        ("Il était fâché contre son frère.", "Il n'était pas fâché contre son frère."),
        ("Il y a un pont sur la rivière.", "Il n'y a pas de pont sur la rivière."),
        ("Tu peux entrer maintenant.", "Tu ne peux pas entrer maintenant."),
        ("Les chèvres ont mangé.", "Les chèvres n'ont pas mangé."),
        ("Je veux acheter ce tissu.", "Je ne veux pas acheter ce tissu."),
        ("Le prix de l'huile a augmenté.", "Le prix de l'huile n'a pas augmenté."),
        (
            "Elle connaît les chants de sa grand-mère.",
            "Elle ne connaît pas les chants de sa grand-mère.",
        ),
        ("Nous avons peur du chien.", "Nous n'avons pas peur du chien."),
    ),
}
"""Language -> sentences and their negations."""
TEXTS: Mapping[str, Sequence[str]] = {
    language: [sentence for pair in pairs for sentence in pair]
    for language, pairs in NEGATED.items()
}
