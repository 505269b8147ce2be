"""Where runs are picked, and by how many processes."""

from __future__ import annotations

import re
from typing import Annotated, Self

from annotated_types import Ge
from pydantic import model_validator

from tomosoup.core.config import Options

Count = Annotated[int, Ge(1)]
KINDS = re.compile(r"local(:[1-9]\d*)?|slurm|pbs|lsf|(tcp|tls|ws|wss)://.+:\d+")


class ClusterOptions(Options):
    """Where runs are picked, and by how many processes."""

    cluster: str | None = None
    """local or local:N (N processes of this machine), slurm, pbs or lsf (jobs that ask for work), or tcp://HOST:PORT (a
    Dask scheduler that runs already); by default this process alone. Takes pip install 'tomosoup[cluster]'."""
    shard: str | None = None
    """I/N: pick the I-th of N parts of the runs, with no scheduler: for job arrays."""
    jobs: Count = 4
    """Jobs of slurm, pbs and lsf, or of the array of --write-sbatch."""
    cores: Count = 4
    """Cores of each job."""
    memory: str = "16GB"
    """Memory of each job."""
    walltime: str = "04:00:00"
    """Time limit of each job; what it has not finished another one does."""
    queue: str | None = None
    """Queue or partition of the jobs."""
    account: str | None = None
    """Account that the jobs are charged to."""
    gpu: bool = False
    """Give each job one GPU."""
    directives: tuple[str, ...] = ()
    """Further lines for the batch system, such as --qos=long."""
    setup: tuple[str, ...] = ()
    """Shell lines to run first in each job, such as 'module load cuda'."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.cluster is not None and not KINDS.fullmatch(self.cluster):
            raise ValueError(
                f"cluster: expected local, local:N, slurm, pbs, lsf or tcp://HOST:PORT, got {self.cluster!r}"
            )
        if self.shard is not None:
            number, of = self.part
            if not 1 <= number <= of:
                raise ValueError(f"expected --shard I/N with I from 1 to N, such as 3/20, not {self.shard}")
            if self.cluster is not None:
                raise ValueError("a shard is picked by this process alone: leave --cluster or --shard out")
        return self

    @property
    def part(self) -> tuple[int, int]:
        """(I, N) of the shard; (1, 1) without one, (0, 0) where it cannot be read."""
        if self.shard is None:
            return 1, 1
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", self.shard)
        return (int(found[1]), int(found[2])) if found else (0, 0)
