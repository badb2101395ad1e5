"""The base model, the prompt, the training plan, and what happens around SFTTrainer."""
