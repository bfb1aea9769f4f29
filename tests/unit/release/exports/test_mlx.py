"""Export for mlx-lm: its configuration, and what is kept where mlx-lm is not installed."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec

from finetune.artefacts.adapter_source import AdapterSource
from finetune.output.console import Console
from finetune.spec.tables.export_format import export_format
from finetune.verbs.use.export import write_export
from tests.support.trained_adapter import write_trained


def test_mlx_lm_finds_the_base_of_the_rotary_positions(tmp_path) -> None:
    """Its own default of 10,000 would be taken otherwise; unchecked only where it is missing."""
    base, adapter = write_trained(tmp_path)
    source = AdapterSource(name="hausa", base=base, adapter=adapter, base_id="org/base")
    console = Console(out=io.StringIO())
    row, target = export_format("mlx"), tmp_path / "out"
    place, written = write_export(source, row, target=target, console=console)
    assert (written.unchecked is None) == (find_spec("mlx_lm") is not None)
    assert place.name == ("out" if written.unchecked is None else "out.unchecked")
    config = json.loads((place / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert config["dtype"] == "bfloat16" or written.unchecked is None
