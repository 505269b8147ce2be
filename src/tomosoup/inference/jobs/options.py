"""Where runs are picked, and by how many processes."""

from __future__ import annotations

import re
from typing import Annotated, Self

from annotated_types import Ge
from pydantic import model_validator

from tomosoup.core.config import Options, Typed

Count = Annotated[int, Ge(1)]
KINDS = re.compile(r"local(:[1-9]\d*)?|slurm|pbs|lsf|(tcp|tls|ws|wss)://.+:\d+")


class ClusterOptions(Options):
    """Where runs are picked, and by how many processes."""

    cluster: Annotated[str | None, Typed("Speed", value="CLUSTER")] = None
    """Where to pick: local or local:N (N processes on this machine), slurm, pbs or lsf (batch jobs), or tcp://HOST:PORT
    (a running Dask scheduler); by default in this process. Requires pip install 'tomosoup[cluster]'."""
    shard: Annotated[str | None, Typed(value="I/N")] = None
    """Pick part I of N of the runs, without a scheduler; for job arrays."""
    jobs: Count = 4
    """Number of jobs for slurm, pbs and lsf, or in the array of `write_sbatch`."""
    cores: Count = 4
    """Cores per job."""
    memory: str = "16GB"
    """Memory per job."""
    walltime: str = "04:00:00"
    """Time limit per job. Another job does what one has not finished."""
    queue: str | None = None
    """Queue or partition of the jobs."""
    account: str | None = None
    """Account that the jobs are charged to."""
    gpu: bool = False
    """Give each job one GPU."""
    directives: tuple[str, ...] = ()
    """Additional options for the batch system, each as one word with its hyphens and an equals sign before it."""
    setup: tuple[str, ...] = ()
    """Shell commands to run first in each job, such as 'module load cuda'."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.cluster is not None and not KINDS.fullmatch(self.cluster):
            raise ValueError(
                f"`cluster`: expected local, local:N, slurm, pbs, lsf or tcp://HOST:PORT, got {self.cluster!r}"
            )
        if self.shard is not None:
            number, of = self.part
            if not 1 <= number <= of:
                raise ValueError(f"`shard`: expected I/N with I from 1 to N, such as 3/20, got {self.shard}")
            if self.cluster is not None:
                raise ValueError("`cluster` and `shard` exclude each other: leave one of them out")
        return self

    @property
    def part(self) -> tuple[int, int]:
        """(I, N) of the shard; (1, 1) without one, (0, 0) where it cannot be read."""
        if self.shard is None:
            return 1, 1
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", self.shard)
        return (int(found[1]), int(found[2])) if found else (0, 0)
