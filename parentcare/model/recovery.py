"""Training that comes to its end: a smaller shape where memory runs out, and no step twice after a kill."""

import gc
import math
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerState
from transformers.trainer_utils import TrainOutput

from parentcare.model.plan import Shape
from parentcare.model.training import COMPLETE_MARK, last_complete_checkpoint

OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class StepGuard(TrainerCallback):
    """Knows what the trainer is at: in a step, until its update, the weights are still those of the step before."""

    doing, tokens = "beginning", 0

    def on_step_begin(self, args, state, control, **kwargs):
        # what a broken step adds to the tokens is taken back
        self.doing, self.tokens = "step", state.num_input_tokens_seen

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        # an update that breaks off leaves some weights new and some old
        self.doing = "update"

    def on_step_end(self, args, state, control, **kwargs):
        self.doing = "validation"


def train_to_the_end(trainer, checkpoint: str | None) -> tuple[TrainOutput, list[dict]]:
    """Return (what trainer.train returns, the steps down that it took for want of memory).

    A step that runs out of memory is begun again in the next smaller shape, with the same sequences, from the weights
    as they are; an update or a validation that does, from the last complete checkpoint. Raises MemoryError where
    nothing smaller is left. Ranks can't step down one by one: with several the error goes through.
    """
    if checkpoint and (finished := load_finished(trainer, checkpoint)):
        return finished, []
    guard, steps_down = StepGuard(), []
    trainer.add_callback(guard)
    first = None if checkpoint else {n: p.detach().cpu().clone() for n, p in trained_weights(trainer.model)}
    while True:
        guard.doing = "beginning"
        try:
            return trainer.train(resume_from_checkpoint=checkpoint), steps_down
        except RuntimeError as error:
            if not any(words in str(error) for words in OUT_OF_MEMORY) or trainer.args.world_size > 1:
                raise
            said = str(error).splitlines()[0]
        # only now, with the error, are the activations gone that its traceback held
        free_memory(trainer.model)
        checkpoint = keep_weights(trainer, guard)
        if checkpoint is None:
            for name, parameter in trained_weights(trainer.model):
                parameter.data.copy_(first[name])
        goes_on = int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
        before, after = step_down(trainer, guard.doing, said)
        step, doing = trainer.state.global_step, guard.doing
        steps_down.append({"after_step": step, "in": doing, "from": before, "to": after, "goes_on_from": goes_on})
        print(f"out of memory in the {doing} after step {step}: {before} → {after}, ", end="")
        print(f"the same sequences in every step; going on from step {goes_on}", flush=True)


def trained_weights(model) -> list[tuple]:
    """Return (name, parameter) of each trained weight."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def free_memory(model) -> None:
    """Give back gradients and activations of a step that broke off."""
    model.zero_grad(set_to_none=True)
    gc.collect()
    torch.cuda.empty_cache()


def keep_weights(trainer, guard: StepGuard) -> str | None:
    """Return the checkpoint to go on from, made of the weights as they are where they are whole."""
    folder = Path(trainer.args.output_dir)
    there = folder / f"checkpoint-{trainer.state.global_step}" / COMPLETE_MARK
    if guard.doing == "step" and not there.exists():
        trainer.state.num_input_tokens_seen = guard.tokens
        trainer._save_checkpoint(trainer.model, trial=None)
        trainer.callback_handler.on_save(trainer.args, trainer.state, trainer.control)
    return last_complete_checkpoint(folder)


def step_down(trainer, doing: str, said: str) -> tuple[str, str]:
    """Return what the trainer did and what it will do, after setting it. Raises MemoryError where nothing is left."""
    args = trainer.args
    # train() makes them anew, and loads their state where there is a checkpoint
    trainer.optimizer = trainer.lr_scheduler = None
    if doing == "validation" and args.per_device_eval_batch_size > 1:
        # only here: eval_loss is a mean over batches, and moves with their size
        before = args.per_device_eval_batch_size
        args.per_device_eval_batch_size //= 2
        return f"{before} rows at once", f"{before // 2} at once"
    checkpointing = any(getattr(module, "gradient_checkpointing", False) for module in trainer.model.modules())
    shape = Shape(args.per_device_train_batch_size, args.gradient_accumulation_steps, checkpointing)
    if doing == "validation" or (smaller := smaller_shape(shape)) is None:
        raise MemoryError(
            f"{said}: one sequence at a time, with checkpointing, is the least there is. Free the card, or lower "
            "MAX_SEQ_LENGTH and take another name, --run NEW (RUN)"
        )
    set_shape(args, trainer.model, smaller)
    # the constructor keeps a copy, and the data loader is made from it
    trainer._train_batch_size = args.train_batch_size
    return str(shape), str(smaller)


def smaller_shape(shape: Shape) -> Shape | None:
    """Return the next shape that needs less memory for the same sequences, or None: checkpointing comes first."""
    batch, accumulation, checkpointing = shape
    if not checkpointing:
        return Shape(batch, accumulation, True)
    if batch == 1:
        return None
    size = next(size for size in range(batch // 2, 0, -1) if batch * accumulation % size == 0)
    return Shape(size, batch * accumulation // size, True)


def set_shape(args, model, shape: Shape) -> None:
    """Set batch size and accumulation of a trainer's arguments, and Unsloth's checkpointing of a LoRA model, for good.

    Its trainers begin with the mode that get_peft_model recorded, so for_training alone is undone by train().
    """
    from unsloth import FastLanguageModel

    args.per_device_train_batch_size = shape.batch_size
    args.gradient_accumulation_steps = shape.accumulation_steps
    args.gradient_checkpointing = shape.checkpointing
    lora, mode = model.peft_config["default"], "unsloth" if shape.checkpointing else False
    FastLanguageModel.get_peft_model(
        model,
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=sorted(lora.target_modules),
        bias=lora.bias,
        use_gradient_checkpointing=mode,
        max_seq_length=model.max_seq_length,
    )
    FastLanguageModel.for_training(model, use_gradient_checkpointing=mode)


def load_finished(trainer, checkpoint: str) -> TrainOutput | None:
    """Return the end of a run that was killed after its last checkpoint, with the best weights loaded; None before it.

    The trainer itself would take one more step, or train on past an early stop.
    """
    state = TrainerState.load_from_json(f"{checkpoint}/trainer_state.json")
    stopped = state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"]
    if not stopped and state.global_step < state.max_steps:
        return None
    trainer.state = state
    best = Path(checkpoint).with_name(f"checkpoint-{state.best_global_step}")
    trainer.model.load_adapter(str(best), trainer.model.active_adapters[0], is_trainable=True)
    return TrainOutput(state.global_step, math.nan, {"train_runtime": 0.0})
