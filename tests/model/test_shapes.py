"""The same eight sequences in every optimizer step, whatever the shape: the same losses, the same gradients."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from unsloth import FastLanguageModel
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer
from parentcare.data.records import read_jsonl
from parentcare.model import prompts, training

folder, shapes = sys.argv[1], [(2, 4), (4, 2), (8, 1)]
rows, losses, gradients = None, [], []

class KeepGradient(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step == 0:
            flat = [p.grad.flatten() for p in model.parameters() if p.requires_grad]
            gradients.append(torch.cat(flat).clone())

for batch, accumulation in shapes:
    model, tokenizer = FastLanguageModel.from_pretrained(
        f"{folder}/base", max_seq_length=512, dtype=torch.float32, load_in_4bit=False, use_exact_model_name=True)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = FastLanguageModel.get_peft_model(model, r=16, lora_alpha=16, lora_dropout=0.0, target_modules=layers,
        bias="none", use_gradient_checkpointing=False, random_state=3407, max_seq_length=512)
    rows = rows or prompts.tokenize_records(read_jsonl(f"{folder}/train.jsonl")[:64], tokenizer, 512)[0]
    arguments = SFTConfig(output_dir=f"{folder}/shapes", max_length=512, per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation, max_steps=5, learning_rate=3e-3, optim="adamw_8bit", packing=False,
        eval_strategy="no", seed=3407, data_seed=3407,
        **(training.checkpoint_arguments(10) | {"load_best_model_at_end": False, "save_strategy": "no"}))
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer, callbacks=[KeepGradient()])
    training.keep_adapter_float32(model)
    trainer.train()
    losses.append([row["loss"] for row in trainer.state.log_history if "loss" in row])
cosine = [torch.nn.functional.cosine_similarity(gradients[0], g, dim=0).item() for g in gradients[1:]]
ratio = [(g.norm() / gradients[0].norm()).item() for g in gradients[1:]]
print(json.dumps({"losses": losses, "cosine": cosine, "ratio": ratio}))
"""


def test_2x4_4x2_and_8x1_give_the_same_losses_and_gradients(demo_home):
    folder = demo_home / "outputs" / "demo"
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert min(found["cosine"]) >= 0.9999
    assert all(abs(ratio - 1) < 1e-3 for ratio in found["ratio"])
    assert len(found["losses"][0]) == 5
    for losses in found["losses"][1:]:
        assert max(abs(a - b) for a, b in zip(found["losses"][0], losses, strict=True)) <= 1e-3
