"""`python -m benchmark.commands.mini_weights`: pretrain the mini backbones.

python -m benchmark.commands.mini_weights --backbone deit_tiny --minutes 7 --seed 0
python -m benchmark.commands.mini_weights --all      # 57 minutes of CPU time, drawing not counted
"""

from __future__ import annotations

import sys
from dataclasses import asdict

import torch

from benchmark.commands import command_line
from benchmark.commands.command_line import exit_status
from benchmark.config.backbones import BACKBONES
from benchmark.data.mini.backbones import ARCHITECTURES
from benchmark.data.mini.manifest import save
from benchmark.data.mini.pretrain import PLANS, pretrain


def main() -> None:
    """Command line; writes the weights and their rows of the manifest."""
    parser = command_line.Parser(
        prog="python -m benchmark.commands.mini_weights", description=__doc__.splitlines()[0]
    )
    tags = {key: row.mini for key, row in BACKBONES.items() if row.mini.split(".")[0] in ARCHITECTURES}
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--backbone", choices=sorted(tags))
    which.add_argument("--all", action="store_true")
    parser.add_argument(
        "--minutes", type=command_line.minutes, help="CPU time of training, by default the plan's"
    )
    parser.add_argument("--seed", type=command_line.whole_number(0), default=0)
    args = parser.parse_args()
    torch.set_flush_denormal(True)  # for the whole process, so the command's business and not the function's
    for key in tags if args.all else [args.backbone]:
        architecture = tags[key].split(".")[0]
        minutes = PLANS[architecture].minutes if args.minutes is None else args.minutes
        state, outcome = pretrain(architecture, minutes, args.seed)
        command = f"python -m benchmark.commands.mini_weights --backbone {key} --minutes {minutes:g} --seed {args.seed}"
        save(tags[key], state, {"command": command, "seed": args.seed, **asdict(outcome)})
        print(f"{tags[key]}: {outcome}", flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main))
