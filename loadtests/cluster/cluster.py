"""A whole cluster on loopback: PostgreSQL, Redis, llama.cpp servers, desks, nginx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.cluster import programs
from loadtests.cluster.manual import THINGS, import_manual
from loadtests.cluster.program import READY_SECONDS, Program, stop_all
from tests.e2e.desk_process import wait_until

MODEL = "gemma-3-270m-desk"


@dataclass(frozen=True)
class Cluster:
    """All programs, in the order in which they were started. `folder` is gone when they are."""

    folder: Path
    postgres: Program
    redis: Program
    llamas: Sequence[Program]
    desks: Sequence[Program]
    nginx: Program

    @property
    def programs(self) -> list[Program]:
        return [self.postgres, self.redis, *self.llamas, *self.desks, self.nginx]

    @property
    def database(self) -> str:
        return programs.postgres_url(self.postgres.port)

    @property
    def origin(self) -> str:
        """Where customers come in."""
        return programs.origin(self.nginx.port)

    def is_whole(self) -> bool:
        return all(program.answers() for program in self.programs)

    def wait_whole(self, seconds: float = READY_SECONDS) -> None:
        wait_until(self.is_whole, f"all programs are ready; {self.not_ready()}", seconds)

    def not_ready(self) -> str:
        return "".join(
            f"\n{program.name} is not; the end of its log:\n{program.log_tail}"
            for program in self.programs
            if not program.answers()
        )


@dataclass(frozen=True)
class Shape:
    """`things`: how many of them the manual tells about. `upstreams`: generators beside the `llamas`.
    `settings`: of every desk."""

    desks: int = 3
    llamas: int = 2
    things: int = len(THINGS)
    upstreams: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def started_cluster(models: Path, shape: Shape) -> Iterator[Cluster]:
    """A cluster that knows the sample shop and the manual. Nothing of it is left, whatever happens."""
    running: list[Program] = []
    with TemporaryDirectory(prefix="kefu-cluster-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        try:
            yield _start_all(folder, models, shape, running)
        finally:
            stop_all(running)


def _start_all(folder: Path, models: Path, shape: Shape, running: list[Program]) -> Cluster:
    """`running` is told of each program before it is started."""

    def start(program: Program) -> Program:
        running.append(program)
        return program.start()

    postgres = start(programs.postgres(folder))
    programs.create_database(postgres.port)
    redis = start(programs.redis_server(folder))
    model = _gguf(models)
    llamas = [start(programs.llama(folder, n, model)) for n in range(1, shape.llamas + 1)]
    settings = programs.desk_settings(
        postgres, redis, [*(programs.origin(one.port) for one in llamas), *shape.upstreams]
    )
    # One after the other: the first makes the tables, and what it fills them with the others read.
    desks: list[Program] = []
    for number in range(1, shape.desks + 1):
        desks.append(start(programs.desk(folder, number, models, {**settings, **shape.settings})))
        if number == 1:
            import_manual(desks[0], shape.things)
    nginx = start(programs.nginx(folder, desks))
    return Cluster(folder, postgres, redis, llamas, desks, nginx)


def _gguf(models: Path) -> Path:
    found = sorted((models / MODEL).glob("*.gguf"))
    if not found:
        raise FileNotFoundError(f"No {MODEL} in {models}: run `kefu models pull {MODEL}`.")
    return found[0]
