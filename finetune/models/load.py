"""Loading of tokenizer, base and adapter; device and precision."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from finetune.artefacts.job import Job
from finetune.errors import MachineError, RecipeError, StoreError, TrainError
from finetune.launch.devices import Wanted, build_in_words, hide_gpus, takes_gpu
from finetune.launch.energy import Gpu
from finetune.launch.ranks import ranks_of
from finetune.launch.threads import threads_of
from finetune.messages import Place, problem
from finetune.models import rows
from finetune.models.adapter_files import (
    CONFIG,
    WEIGHTS,
    look_at_adapter,
    refuse_other_tensors,
)
from finetune.models.arithmetic import DTYPES
from finetune.models.decode.translation_models import opener_of
from finetune.models.intact import explained, refuse_report, report_read
from finetune.models.layer_devices import packing_on
from finetune.models.rows import NewRows
from finetune.output.small_files import UnreadableError
from finetune.sizing.attention_paths import FIRST_TORCH, is_new_enough
from finetune.sizing.policy import Device, choose_precision
from finetune.sources.model_folder import TOKENIZER_CONFIG, TOKENIZERS, read_object, reason_of
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Precision

REBUILD = "if it is in the store, `finetune runs` removes it, and the next run makes it again"


def load_tokenizer(directory: Path, *, where: str | None = None) -> Any:
    """Return the tokenizer in a model folder; `where` is the folder's name in messages.

    Raises RecipeError if its files cannot be read or bring their own code.
    """
    from transformers import AutoTokenizer

    directory, where = Path(directory), where or str(directory)
    settings = directory / TOKENIZER_CONFIG
    if settings.is_file():
        try:
            read_object(settings)  # with code of its own the library would ask on the terminal
        except (OSError, UnreadableError) as error:
            place = Place(key=f"{where}/{settings.name}")
            raise RecipeError(
                problem("unreadable-tokenizer", "{why}", at=place, why=reason_of(error))
            ) from error
    file = next((name for name in TOKENIZERS if (directory / name).is_file()), TOKENIZERS[0])
    remedy = "take the tokenizer files that came with the weights"
    with explained(f"{where}/{file}", remedy=remedy):
        return AutoTokenizer.from_pretrained(directory, local_files_only=True)


def adapter_tokenizer(adapter_dir: Path, tokenizer: Any) -> Any:
    """Return an adapter's own tokenizer, with the base's chat template; the base's if it has none.

    Tokens that the adapter added follow those of `tokenizer`, the base's.
    """
    if not (adapter_dir / "tokenizer.json").is_file():
        return tokenizer
    own = load_tokenizer(adapter_dir)
    own.chat_template = tokenizer.chat_template
    return own


def tokenizer_folder(job: Job) -> Path:
    """Return the folder of the tokenizer of a job."""
    vocabulary = job.inputs.get("vocabulary")
    if vocabulary is not None:
        return vocabulary.path / rows.TOKENIZER
    return job.inputs["base"].path / "model"


def load_base(
    directory: Path,
    *,
    precision: Precision,
    quantization: Quantization = "none",
    device: torch.device | str = "cpu",
    device_map: Mapping[str, Any] | None = None,
    packs_on: torch.device | str | None = None,
) -> Any:
    """Return the model in a folder, frozen, in evaluation mode, on the device.

    It is a causal language model, or a translation model that is compared with one. `device_map`:
    device of each module (finetune.models.layer_devices), where its layers go to several.
    `packs_on`: device that packs weights into 4 bits where they stay on another (None: their own).

    Raises StoreError if the folder holds no safetensors weights, RecipeError if a tensor is
    missing, unexpected or of another shape than the configuration states: nothing is made up.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # "Loading weights" is no progress that a user needs
    directory = Path(directory)
    if not (directory / "config.json").is_file() or not any(directory.glob("*.safetensors")):
        raise StoreError(
            problem(
                "no-model",
                "no model here (config.json and *.safetensors); rebuild the base artefact",
                at=Place(directory),
            )
        )
    settings: dict[str, Any] = {"dtype": DTYPES[precision], "device_map": device_map}
    if quantization != "none":
        settings["quantization_config"] = _quantization(quantization, precision)
        settings["device_map"] = device_map or {"": str(device)}
    with (
        explained(str(directory), remedy=REBUILD),
        report_read(str(directory)),
        packing_on(packs_on if quantization == "4bit" else None),
    ):
        opener = opener_of(read_object(directory / "config.json")["model_type"])
        # Said in every case: a configuration could name one that is downloaded.
        settings["attn_implementation"] = _attention_of(opener, directory)
        model, report = opener.from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # so that they are in the report, which is read
            output_loading_info=True,
            **settings,
        )
    refuse_report(report, where=str(directory))
    if quantization == "none" and device_map is None:
        model = model.to(device)
    return _frozen(model)


def attach_lora(model: Any, lora: Lora, *, seed: int, new_rows: NewRows | None = None) -> Any:
    """Put a fresh adapter on a base; return the PEFT model, in training mode.

    The seed alone decides how the adapter starts. `new_rows` are started and trained with it.
    Raises TrainError if a target matches nothing or PEFT has no such adapter for the base (dropout
    or DoRA on experts), RecipeError for a base that takes no new rows.
    """
    from peft import LoraConfig, get_peft_model

    check_targets(model, lora.target_modules)
    new: dict[str, Any] = {}
    if new_rows is not None:
        rows.refuse_updates(model, lora.target_modules)
        rows.start_rows(model, new_rows)
        new["trainable_token_indices"] = rows.trainable_tokens(model, new_rows)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # a float works, the recipe allows one
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        init_lora_weights=True if lora.init == "default" else lora.init,
        **new,
    )
    with torch.random.fork_rng(devices=[]):  # PEFT draws on the CPU and moves what it drew
        torch.default_generator.manual_seed(seed)
        try:
            adapted = get_peft_model(model, config).train()
        except (ValueError, NotImplementedError) as error:
            raise TrainError(
                problem(
                    "adapter-refused",
                    "PEFT cannot put this adapter on a {kind} base: {why}; change lora.dropout, "
                    "lora.dora or lora.target_modules",
                    at=Place(key="lora"),
                    kind=model.config.model_type,
                    why=str(error).rstrip("."),
                )
            ) from error
    rows.install(adapted)
    return adapted


def load_adapter(model: Any, adapter_dir: Path, *, name: str = "default") -> Any:
    """Put a saved adapter on a base; return the PEFT model, in evaluation mode.

    A PEFT model gets it as another adapter, of this name; the first one stays active.

    An adapter with new tokens gets room for their rows. Raises StoreError if the folder holds no
    adapter in safetensors, RecipeError if it is damaged or its tensors are not exactly those that
    its configuration asks for on this base.
    """
    from peft import PeftModel, get_peft_model_state_dict

    adapter_dir = Path(adapter_dir)
    for file in (CONFIG, WEIGHTS):
        if not (adapter_dir / file).is_file():
            raise StoreError(
                problem(
                    "no-adapter",
                    "no adapter here, {name} is missing",
                    at=Place(adapter_dir),
                    name=file,
                )
            )
    config, tensors = look_at_adapter(adapter_dir)
    ids = rows.trained_ids(config)
    rows.refuse_distant(model, ids, where=adapter_dir / CONFIG)
    rows.make_room(model, 1 + max(ids, default=-1))
    with explained(str(adapter_dir), remedy=REBUILD), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is missing or bent: reported below, as an error
        place = str(adapter_dir)
        how: dict[str, Any] = {"adapter_name": name, "ignore_mismatched_sizes": True}
        if isinstance(model, PeftModel):
            model.load_adapter(place, is_trainable=False, **how)
            adapted = model
        else:
            adapted = PeftModel.from_pretrained(model, place, is_trainable=False, **how)
        held = get_peft_model_state_dict(adapted, adapter_name=name, save_embedding_layers=False)
    expected = {key: tuple(tensor.shape) for key, tensor in held.items()}
    refuse_other_tensors(tensors, expected, where=adapter_dir)
    rows.install(adapted)
    return adapted.eval()


def check_targets(model: nn.Module, targets: Literal["all-linear"] | list[str]) -> None:
    """Raise TrainError if a target is the end of no linear layer's name; near names are given."""
    if targets == "all-linear":
        return
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
    ]
    endings = sorted({name.rpartition(".")[2] for name in names})
    problems = []
    for target in targets:
        if any(name == target or name.endswith(f".{target}") for name in names):
            continue
        near = difflib.get_close_matches(target, endings, n=3) or endings
        problems.append(
            problem(
                "no-such-layer",
                "no linear layer is named {name!r}. Did you mean {names}? (or write all-linear)",
                at=Place(key="lora.target_modules"),
                name=target,
                names=near,
            )
        )
    if problems:
        raise TrainError(*problems)


def choose_device(wanted: Wanted = "auto") -> torch.device:
    """Return this process's GPU (LOCAL_RANK counts them), or the CPU; `wanted`: `run.device`.

    A scheduler may show each process one GPU only, which then is number 0 to all of them. Raises
    TrainError if recipe or site expect a GPU and none is visible, MachineError for a torch that is
    too old for one.
    """
    visible = visible_gpus()
    if takes_gpu(wanted, visible=visible, build=torch_build()):
        _refuse_old_torch(torch.__version__)
        return torch.device("cuda", ranks_of().local_rank % visible)
    if visible:
        hide_gpus()
    return torch.device("cpu")


def visible_gpus() -> int:
    """Return how many GPUs torch sees; 0 without a driver, or with a build for CPUs."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpus_of(devices: Sequence[torch.device]) -> list[Gpu]:
    """Return the GPUs among some devices, as the energy meter finds them."""
    found = []
    for device in dict.fromkeys(devices):
        if device.type == "cuda":
            facts: Any = torch.cuda.get_device_properties(device)  # its stub knows no PCI numbers
            pci = None
            if torch.version.hip is not None:
                domain = getattr(facts, "pci_domain_id", 0)
                pci = f"{domain:04x}:{facts.pci_bus_id:02x}:{facts.pci_device_id:02x}.0"
            found.append(Gpu(str(facts.uuid), pci))
    return found


def torch_build() -> str:
    """Return torch's version and what it is built for."""
    return build_in_words(torch.__version__, cuda=torch.version.cuda, hip=torch.version.hip)


def _refuse_old_torch(version: str) -> None:
    if not is_new_enough(version):
        raise MachineError(
            problem(
                "torch-too-old",
                "a GPU is used with torch {wanted} or later, whose attention keeps packed "
                "documents apart; this is torch {found}. Install a newer one, or take the CPU "
                "(run.device: cpu)",
                wanted=".".join(map(str, FIRST_TORCH)),
                found=version,
            )
        )


def resolve_precision(
    asked: Literal["auto", Precision],
    device: torch.device | str,
    *,
    base: Path,
    gpu_has_bf16: bool | None = None,
) -> Precision:
    """Return the precision of a base on a device (finetune.sizing.policy.choose_precision).

    `base`: the folder of the model. `gpu_has_bf16`: None: the driver is asked.
    """
    kind = kind_of_device(device)
    if kind == "gpu" and gpu_has_bf16 is None:
        gpu_has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return choose_precision(
        asked,
        device=kind,
        has_bf16=kind == "gpu" and bool(gpu_has_bf16),
        model_type=model_type_of(base),
    )


def model_type_of(directory: Path) -> str:
    """Return the architecture of the model in a folder; `` if there is none, as loading reports."""
    try:
        return str(read_object(directory / "config.json")["model_type"])
    except (OSError, UnreadableError, KeyError):
        return ""


def kind_of_device(device: torch.device | str) -> Device:
    """Return `gpu` or `cpu`; torch calls AMD's GPUs `cuda`, too."""
    return "gpu" if torch.device(device).type == "cuda" else "cpu"


def set_threads(count: int | None) -> int:
    """Use `count` CPU threads, or this process's share of the physical cores; return the number.

    OMP_NUM_THREADS is obeyed when no count is given. Waiting threads should sleep and not spin
    on a shared machine: OMP_WAIT_POLICY=passive must be in the environment before Python starts.
    """
    count = threads_of(count)
    torch.set_num_threads(count)
    return count


def _frozen(model: Any) -> Any:
    """Return a base in evaluation mode, without anything that draws or repacks in its layers."""
    model.requires_grad_(False)
    modules: list[Any] = list(model.modules())
    for module in modules:
        # The base's own dropout draws masks that depend on the batch; LoRA's is keyed (dropout.py)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
        # On some CPUs bitsandbytes repacks 4-bit weights when they are first used without
        # gradients, as in a validation; no gradient passes through them from then on.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model.eval()


def _quantization(choice: Quantization, precision: Precision) -> Any:
    from transformers import BitsAndBytesConfig

    if choice == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[precision],
    )


def _attention_of(opener: Any, directory: Path) -> str:
    """Return SDPA, or transformers' own attention where an architecture has no other (BLOOM)."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    model_class = opener._model_mapping.get(type(config), None)
    return "sdpa" if getattr(model_class, "_supports_sdpa", True) else "eager"
