"""Scenarios of the systems that a tutorial on attention teaches: multi-head modules, their steps, attention pooling."""

from __future__ import annotations

from scenarios import claims
from scenarios.scenario import Axis, Claim, Scenario, Value, Variant

# Half octaves over a ratio of 64, as for attention itself.
LENGTHS: list[Value] = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]
LENGTHS_CUDA: list[Value] = [256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384]
# Shorter sweeps: the last octave takes three quarters of a quadratic one.
LENGTHS_SHORT: list[Value] = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]
LENGTHS_LESSON: list[Value] = [64, 96, 128, 192, 256, 384, 512, 768, 1024]
WIDTHS: list[Value] = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]
# `mha/loop` visits rows in Python, and `mha/flex` is compiled for each shape: minutes for no new answer.
SLOW = ["mha/loop", "mha/flex*"]
MODULES = ["d2l", "torch-module", "torch-module-fast", "mha/*"]

POOLING_COST = Claim(
    id="P1",
    says="attention pooling costs O(n_q n_k): a weight for each query and key",
    quantities=["operations", "time"],
    exponents={"n_q": 1, "n_k": 1},
    about=["nadaraya-watson", "learned"],
)

MULTIHEAD = Scenario(
    name="multihead",
    question="What does a whole multi-head module cost as n grows, and what is its attention worth in it?",
    problem="multihead",
    axes=[Axis(name="n", values=LENGTHS)],
    # The quadratic part is over four fifths of the work from n = 8 D on: a narrow module shows it on a CPU.
    base={"width": 64, "heads": 2, "batch": 1},
    implementations=MODULES,
    exclude=SLOW,
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=LENGTHS_CUDA)],
            base={"width": 1024, "heads": 16, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
    claims=[claims.A4, claims.A5],
)
MULTIHEAD_HEADS = Scenario(
    name="multihead-heads",
    question="What does it cost to split a module's fixed width into more heads, alone and in a batch?",
    problem="multihead",
    axes=[Axis(name="heads", values=[1, 2, 4, 8, 16, 32, 64]), Axis(name="batch", values=[1, 4])],
    base={"n": 256, "width": 256},
    implementations=MODULES,
    exclude=SLOW,
    on={"cuda": Variant(base={"n": 2048, "width": 1024}, dtypes=["bfloat16"])},
)
TRAINING = Scenario(
    # `training` is attention's own, in scenarios/shapes.py.
    name="training-with-dropout",
    question="What does a training step of a module cost, with dropout on the attention weights?",
    problem="multihead",
    axes=[Axis(name="n", values=[64, 128, 256, 512, 1024])],
    base={"width": 128, "heads": 4, "batch": 2, "dropout": 0.5},
    directions=["forward+backward"],
    implementations=["d2l", "torch-module"],
    on={"cuda": Variant(base={"width": 1024, "heads": 16, "batch": 4, "dropout": 0.5})},
)
TRAINING_WITHOUT_DROPOUT = TRAINING.model_copy(
    update={
        "name": "training-without-dropout",
        "question": "What does a training step of a module cost without dropout, where fused attention may be used?",
        "base": {"width": 128, "heads": 4, "batch": 2},
        "implementations": MODULES,
        "exclude": [*SLOW, "torch-module-fast"],
        "on": {"cuda": Variant(base={"width": 1024, "heads": 16, "batch": 4})},
    }
)
CROSSOVER = Scenario(
    name="crossover",
    question="From which n on does attention cost more than the projections around it? The arithmetic says n = 2 D.",
    problem="multihead",
    axes=[Axis(name="n", values=LENGTHS_SHORT), Axis(name="width", values=[64, 128, 256])],
    base={"heads": 2, "batch": 1},
    implementations=["phase/*", "d2l"],
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=LENGTHS_CUDA[:11]), Axis(name="width", values=[512, 1024, 2048])],
            base={"heads": 16, "batch": 1},
        )
    },
    claims=[claims.A1_LENGTH, claims.A2_PHASE, claims.A3, claims.A4],
)
WIDTH = Scenario(
    name="width",
    question="Do projections grow with a module's width, or with its square?",
    problem="multihead",
    axes=[Axis(name="width", values=WIDTHS)],
    base={"n": 64, "heads": 2, "batch": 1},
    implementations=["phase/projections", "phase/scores", "phase/output"],
    on={"cuda": Variant(base={"n": 2048, "heads": 2, "batch": 4})},
    claims=[claims.A1_WIDTH, claims.A2_PHASE],
)
POOLING = Scenario(
    name="pooling",
    question="Does attention pooling cost a weight for each pair of query and key?",
    problem="pooling",
    axes=[
        Axis(name="n_q", values=[64, 256, 1024, 4096]),
        Axis(name="n_k", values=[64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]),
    ],
    claims=[POOLING_COST],
)

# What `attnbench lesson` measures, small enough for a minute on two cores.
TUTORIAL = Scenario(
    name="tutorial",
    question="Step by step, what does multi-head attention cost as the text grows?",
    problem="multihead",
    axes=[Axis(name="n", values=LENGTHS_LESSON)],
    base={"width": 128, "heads": 4, "batch": 1},
    implementations=["phase/*", "d2l"],
    claims=[*claims.MODULE_CLAIMS, claims.A5],
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=LENGTHS_CUDA[:9])],
            base={"width": 512, "heads": 8, "batch": 4},
            dtypes=["bfloat16"],
        )
    },
)
TUTORIAL_WIDTH = Scenario(
    name="tutorial-width",
    question="Step by step, what does multi-head attention cost as the width grows?",
    problem="multihead",
    axes=[Axis(name="width", values=[64, 128, 256, 512, 1024])],
    base={"n": 64, "heads": 4, "batch": 1},
    implementations=["phase/projections", "phase/scores"],
    claims=[claims.A1_WIDTH, claims.A2_PHASE],
    on={
        "cuda": Variant(
            axes=[Axis(name="width", values=[512, 1024, 2048, 4096])],
            base={"n": 2048, "heads": 8, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)
TUTORIAL_ATTENTION = Scenario(
    name="tutorial-attention",
    question="Is the fused call faster than materialised scores, and what memory does each take?",
    axes=[Axis(name="n", values=[64, 128, 256, 512, 1024, 2048])],
    base={"d": 32, "heads": 4, "batch": 1},
    implementations=["batched", "sdpa-flash", "online"],
    claims=[claims.A5, claims.A6, claims.B1, claims.B2],
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=[256, 512, 1024, 2048, 4096, 8192])],
            base={"d": 64, "heads": 16, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)
TUTORIAL_CAUSAL = Scenario(
    name="tutorial-causal",
    question="What does a causal mask save?",
    axes=[Axis(name="n", values=[256, 1024, 2048])],
    base={"d": 32, "heads": 4, "batch": 1, "causal": True},
    implementations=["batched", "sdpa-flash", "online"],
    claims=[claims.B5],
    on={
        "cuda": Variant(
            axes=[Axis(name="n", values=[2048, 4096, 8192])],
            base={"d": 64, "heads": 16, "batch": 1, "causal": True},
            dtypes=["bfloat16"],
        )
    },
)
TUTORIAL_HEADS = Scenario(
    name="tutorial-heads",
    question="What does it cost to split a fixed width into more heads?",
    axes=[Axis(name="heads", values=[1, 2, 4, 8, 16, 32], tied={"d": "128 / heads"})],
    base={"n": 256, "batch": 1},
    implementations=["batched"],
    claims=[claims.B3_PRODUCTS, claims.B3_SOFTMAX],
    on={
        "cuda": Variant(
            axes=[Axis(name="heads", values=[8, 16, 32, 64], tied={"d": "1024 / heads"})],
            base={"n": 2048, "batch": 1},
            dtypes=["bfloat16"],
        )
    },
)
TUTORIAL_DECODE = Scenario(
    name="tutorial-decode",
    question="What does one more token cost against a cache of n keys?",
    axes=[Axis(name="n_k", values=[128, 256, 512, 1024, 2048, 4096, 8192])],
    base={"n_q": 1, "d": 32, "heads": 4, "batch": 1},
    implementations=["batched", "sdpa-flash"],
    claims=[claims.B4],
    on={
        "cuda": Variant(
            axes=[Axis(name="n_k", values=[2048, 4096, 8192, 16384, 32768, 65536, 131072])],
            base={"n_q": 1, "d": 64, "heads": 16, "batch": 8},
            dtypes=["bfloat16"],
        )
    },
)

LESSON: tuple[Scenario, ...] = (
    *(TUTORIAL, TUTORIAL_WIDTH, TUTORIAL_ATTENTION, TUTORIAL_CAUSAL, TUTORIAL_HEADS, TUTORIAL_DECODE),
)
SCENARIOS: tuple[Scenario, ...] = (
    *(MULTIHEAD, MULTIHEAD_HEADS, TRAINING, TRAINING_WITHOUT_DROPOUT, CROSSOVER, WIDTH, POOLING),
    *LESSON,
)
