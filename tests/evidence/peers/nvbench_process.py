"""One case under nvbench: `python -m tests.evidence.peers.nvbench_process '{"implementation": ...}' --json OUT`."""

from __future__ import annotations

import json
import sys

import torch

from tests.evidence.peers.cases import build


def main():
    """Register the case with nvbench and run it on nvbench's own stream."""
    from cuda import bench

    described = json.loads(sys.argv[1])
    case = build(described["implementation"], described["point"], dtype=described["dtype"], device="cuda")

    def attention(state):
        def launch(launched):
            stream = torch.cuda.ExternalStream(launched.get_stream().addressof())
            with torch.cuda.stream(stream), torch.no_grad(), case.within():
                case.call()

        # The caching allocator may synchronise, which nvbench's blocking kernel would wait for for ever.
        state.exec(launch, sync=True)

    bench.register(attention)
    bench.run_all_benchmarks([sys.argv[0], *sys.argv[2:]])


if __name__ == "__main__":
    main()
