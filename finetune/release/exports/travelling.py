"""Texts in the folder of an export: model card, notices, licences, provenance, and its own facts.

The card is that of the release. For a format other than the adapter's own it begins with what the
folder is and how it was checked, and claims no scores in the metadata: those were measured with
the adapter on its base.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from finetune import __version__
from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.export_job import ExportJob
from finetune.messages import Sentence, sentence
from finetune.output.markdown import plain
from finetune.release.contents import write_json
from finetune.release.licence_texts.shipped import texts_for, write_texts
from finetune.sources.checksums import sha256_of
from finetune.sources.model_folder import ADAPTER_WEIGHTS
from finetune.spec.licence import obligations
from finetune.spec.tables.export_format import Export, Exported

CARD, RECORD = "README.md", "export.json"
_OF_THE_RELEASE = ("provenance/SHA256SUMS",)
"""Lists of files that are not those of an export."""
_OF_AN_ADAPTER = ("model-index", "model_name", "base_model_relation", "library_name", "tags")
"""Metadata of a card that does not hold for another format."""


def write_travelling(job: ExportJob, export: Export, written: Exported) -> None:
    """Write the texts into the workspace; files that the export wrote itself stay as they are."""
    folder, source = job.workspace, job.source
    for name, path in source.shipped.items():
        target = folder / name
        if name in (CARD, *_OF_THE_RELEASE) or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    if "NOTICE" not in source.shipped:
        _write_notice(source, folder)
    (folder / CARD).write_text(_card(source, export, written), "utf-8")
    write_json(folder / RECORD, _record(source, export, written, folder=folder))


def _record(
    source: AdapterSource, export: Export, written: Exported, *, folder: Path
) -> dict[str, Any]:
    """Return what was exported of what, for machines; no path of this one."""
    weights = sorted(source.base.glob("*.safetensors"))
    return {
        "schema": 1,
        "format": export.name,
        "adapter": {
            "name": source.name,
            "commit": source.commit,
            "licence": source.licence,
            "languages": list(source.languages),
            "weights_sha256": sha256_of(source.adapter / ADAPTER_WEIGHTS),
        },
        "base": {
            "repo": source.base_id,
            "revision": source.base_revision,
            "licence": source.base_licence,
            "weights_sha256": {path.name: sha256_of(path) for path in weights},
        },
        "finetune": __version__,
        "checked": written.unchecked is None,
        "unchecked_because": written.unchecked,
        "facts": dict(written.facts),
        "size_bytes": sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
    }


def _write_notice(source: AdapterSource, folder: Path) -> None:
    """Write licence texts and a notice where no release is there to take them from."""
    licences = [card.license for card in source.cards.values()]
    licences += [one for one in (source.base_licence, source.licence) if one]
    texts = texts_for(licences)
    write_texts(texts, folder)
    lines = [source.name, "", "Made from the works below. Their owners do not endorse it.", ""]
    lines += [f"Base model: {source.base_id} ({source.base_licence or 'licence not stated'})"]
    lines += [
        f"Corpus: {card.pretty_name or name} ({card.license}). Contact: {card.corpus.contact}"
        for name, card in sorted(source.cards.items())
    ]
    lines += ["", *obligations(licences)]
    (folder / "NOTICE").write_text("".join(f"{plain(line)}\n" for line in lines), "utf-8")


def _card(source: AdapterSource, export: Export, written: Exported) -> str:
    """Return the model card of the folder."""
    shipped = source.shipped.get(CARD)
    text = shipped.read_text("utf-8", errors="replace") if shipped is not None else ""
    if export.relation == "adapter" and text:
        return text
    facts, body = _parted(text)
    facts = {key: value for key, value in facts.items() if key not in _OF_AN_ADAPTER}
    facts |= {"base_model": source.base_id, "base_model_relation": export.relation}
    facts |= {"library_name": export.library} if export.library else {}
    if source.licence and "license" not in facts:
        facts["license"] = source.licence
    return f"---\n{_yaml(facts)}---\n\n{_opening(source, export, written)}\n{body}"


def _opening(source: AdapterSource, export: Export, written: Exported) -> str:
    said: list[Sentence] = [
        sentence(
            "This folder holds the adapter {name} for {base} in the format `{format}`: {summary}.",
            name=source.name,
            base=source.base_id,
            format=export.name,
            summary=written.summary,
        )
    ]
    if written.unchecked is not None:
        said.append(
            sentence(
                "It could not be checked where it was written ({why}). Compare it with the adapter "
                "before you rely on it, and do not publish it.",
                why=written.unchecked,
            )
        )
    if CARD in source.shipped and export.relation != "adapter":
        said.append(
            sentence(
                "The scores below were measured with the adapter on its base, not with this "
                "folder; what is said below of loading holds for the adapter."
            )
        )
    if CARD not in source.shipped:
        said.append(sentence("No model card of a release was there when it was written."))
    title = f"# {plain(source.name.rpartition('/')[2])} ({export.name})\n"
    both = ("en", "fr")
    paragraphs = (" ".join(one.in_language(lang) for one in said) for lang in both)
    remarks = "".join(f"- {plain(remark)}\n" for remark in written.remarks)
    return f"{title}\n" + "\n\n".join(paragraphs) + "\n" + (f"\n{remarks}" if remarks else "")


def _parted(text: str) -> tuple[dict[str, Any], str]:
    """Return the metadata of a card and its text; no metadata if they cannot be read."""
    from huggingface_hub import ModelCard

    if not text.startswith("---"):
        return {}, text
    try:
        card = ModelCard(text, ignore_metadata_errors=True)
    except Exception:  # of a library, over foreign content
        return {}, text.partition("\n---\n")[2] or text
    return dict(card.data.to_dict()), str(card.text)


def _yaml(facts: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True))
