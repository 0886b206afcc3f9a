"""Trains a tiny model, made on the spot, with the Trainer of transformers."""

from dataclasses import dataclass, field

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    HfArgumentParser,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)


@dataclass
class Arguments:
    rate: float = field(default=1e-3, metadata={"help": "learning rate"})
    steps: int = 4


class Words(torch.utils.data.Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, index):
        drawn = torch.Generator().manual_seed(index)
        return {"input_ids": torch.randint(5, 50, (8,), generator=drawn), "labels": torch.tensor(index % 2)}


def main():
    (args,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    shape = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    training = TrainingArguments(
        output_dir="trained", learning_rate=args.rate, max_steps=args.steps, per_device_train_batch_size=8,
        report_to=[], save_strategy="no", disable_tqdm=True, use_cpu=True, seed=5, logging_steps=2,
    )  # fmt: skip
    trainer = Trainer(model=BertForSequenceClassification(shape), args=training, train_dataset=Words())
    # its last line says how long it took
    trainer.remove_callback(PrinterCallback)
    print(f"loss: {trainer.train().training_loss:.6f}")


if __name__ == "__main__":
    main()
