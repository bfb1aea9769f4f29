"""Origin of a release, in the folder `provenance` of each, and the making of it again.

    provenance.json         versions, commit, machine, inputs with checksums, cards, artefacts
    recipe.json             the resolved recipe; local paths are below `./inputs`
    data_cards/NAME.md      cards of open access, with their withdrawal lists; others by hash
    manifests/STAGE-KEY.json    of every input, without the checksum of itself
    SHA256SUMS              of every other file of the release

Scores per item are those of `items/`, where the release has them.
"""
