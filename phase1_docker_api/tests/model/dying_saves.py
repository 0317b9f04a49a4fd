"""Save a model over an old one and be killed at the n-th step that touches the disk, for every n; one line each.

It is a program of its own because it forks, which only a process without threads does safely.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from phase1_docker_api.model.artifact import CURRENT, DRAFT, load_model, save_model
from phase1_docker_api.model.house_model import HouseModel

STEPS = ("open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.scandir")


def die_at(step: int) -> None:
    """From now on, let this process be killed when it begins its n-th step."""
    seen = count(1)

    def hook(event: str, args: object) -> None:
        if event in STEPS and next(seen) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def is_killed_at(step: int, model: HouseModel, store: Path) -> bool:
    child = os.fork()
    if not child:
        die_at(step)
        save_model(model, store)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(artifact: Path, store: Path) -> None:
    """Go on until a save is over before its n-th step."""
    loaded = load_model(artifact)
    old, new = (replace(loaded, card=loaded.card.model_copy(update={"model_version": v})) for v in ("old", "new"))
    for step in count(1):
        shutil.rmtree(store, ignore_errors=True)
        save_model(old, store)
        killed = is_killed_at(step, new, store)
        line = {
            "killed": killed,
            "current": load_model(store / CURRENT).card.model_version,
            "drafts_after_kill": len(list(store.glob(f"{DRAFT}*"))),
        }
        save_model(new, store)
        line["later"] = load_model(store / CURRENT).card.model_version
        line["drafts_after_later"] = len(list(store.glob(f"{DRAFT}*")))
        print(json.dumps(line))
        if not killed:
            return


main(*map(Path, sys.argv[1:]))
