"""Scenarios of the shapes that people run: models, decoding, masks, training, layouts, long contexts."""

from __future__ import annotations

from scenarios import claims
from scenarios.scenario import Axis, Claim, Point, Scenario, Value, Variant

# Left out unless asked for by name: what is compiled for each shape, and a Python loop over rows.
LEFT_OUT = ["loop", "flex*"]
# Heads, key heads and sizes of a head, from the config.json that each model is published with.
MODELS: dict[str, Point] = {
    "GPT-2 (openai-community/gpt2)": {"heads": 12, "kv_heads": 12, "d": 64, "causal": True},
    "BERT-base (google-bert/bert-base-uncased)": {"heads": 12, "kv_heads": 12, "d": 64, "causal": False},
    "ViT-L/16 (google/vit-large-patch16-224)": {"heads": 16, "kv_heads": 16, "d": 64, "causal": False},
    "Llama 3 8B (meta-llama/Meta-Llama-3-8B)": {"heads": 32, "kv_heads": 8, "d": 128, "causal": True},
    "Llama 3 70B (meta-llama/Meta-Llama-3-70B)": {"heads": 64, "kv_heads": 8, "d": 128, "causal": True},
    "Qwen2.5 7B (Qwen/Qwen2.5-7B)": {"heads": 28, "kv_heads": 4, "d": 128, "causal": True},
    "gpt-oss 20B, its full layers (openai/gpt-oss-20b)": {"heads": 64, "kv_heads": 8, "d": 64, "causal": True},
    "gpt-oss 20B, its sliding layers": {"heads": 64, "kv_heads": 8, "d": 64, "causal": True, "window": 128},
    # Queries and keys have 128 features and 64 of position, values 128.
    "DeepSeek-V3, expanded (deepseek-ai/DeepSeek-V3)": {
        "heads": 128,
        "kv_heads": 128,
        "d": 192,
        "d_v": 128,
        "causal": True,
    },
}
DECODE_CPU: list[Value] = [512, 768, 1024, 2048, 4096, 8192, 16384, 32768]
DECODE_CUDA: list[Value] = [1024, 1536, 2048, 4096, 8192, 16384, 32768, 65536]
# A question about time by itself: what sizes do to it is asked by the sweeps of one axis.
DECODE = Claim(
    id="B4",
    says="decoding one token against a cache of n keys costs O(n d): linear in n_k",
    quantities=["operations", "time"],
    exponents={"n_k": 1},
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="models",
        question="What does prefill cost at the heads of models that people run?",
        axes=[Axis(name="n", values=[128, 384])],
        shapes=list(MODELS.values()),
        base={"batch": 1},
        exclude=LEFT_OUT,
        on={"cuda": Variant(axes=[Axis(name="n", values=[1024, 4096, 8192])], dtypes=["bfloat16"])},
    ),
    Scenario(
        name="decode",
        question="What does one more token cost against n_k cached keys, for one sequence and for a few?",
        axes=[Axis(name="n_k", values=DECODE_CPU), Axis(name="batch", values=[1, 4])],
        base={"n_q": 1, "d": 64, "heads": 8, "kv_heads": 2},
        exclude=LEFT_OUT,
        claims=[DECODE],
        on={
            "cuda": Variant(
                axes=[Axis(name="n_k", values=DECODE_CUDA), Axis(name="batch", values=[1, 8])],
                base={"n_q": 1, "d": 128, "heads": 32, "kv_heads": 8},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="causal",
        question="Who skips what a causal mask hides, and who computes it and throws it away?",
        axes=[Axis(name="causal", values=[False, True])],
        shapes=[
            *({"n": n} for n in (256, 512, 768, 1024, 1536, 2048)),
            {"n_q": 256, "n_k": 1024},
            {"n_q": 1024, "n_k": 256},
        ],
        base={"d": 64, "heads": 2, "batch": 1},
        exclude=LEFT_OUT,
        claims=[claims.B5],
        on={
            "cuda": Variant(
                shapes=[
                    *({"n": n} for n in (1024, 2048, 4096, 8192, 16384)),
                    {"n_q": 2048, "n_k": 8192},
                    {"n_q": 8192, "n_k": 2048},
                ],
                base={"d": 64, "heads": 16, "batch": 1},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="padding",
        question="What do sequences of unequal length cost, padded to the longest?",
        axes=[Axis(name="n", values=[128, 256, 512, 1024]), Axis(name="valid_lens", values=[None, "batch"])],
        base={"d": 64, "heads": 2, "batch": 8},
        exclude=LEFT_OUT,
        on={
            "cuda": Variant(
                axes=[Axis(name="n", values=[512, 1024, 2048, 4096]), Axis(name="valid_lens", values=[None, "batch"])],
                base={"d": 64, "heads": 16, "batch": 8},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="mask-memory",
        question="Who needs n^2 memory once each row has a length of its own, which a mask has to tell?",
        axes=[Axis(name="n", values=[256, 512, 1024, 2048, 4096])],
        base={"d": 64, "heads": 2, "batch": 1, "valid_lens": "rows"},
        exclude=LEFT_OUT,
        claims=[claims.B1, claims.B2],
    ),
    Scenario(
        name="window",
        question="What does a sliding window save, for who skips what lies outside and who masks it?",
        axes=[Axis(name="window", values=[64, 256, 1024])],
        base={"n": 1024, "d": 64, "heads": 2, "batch": 1, "causal": True},
        exclude=LEFT_OUT,
        on={
            "cuda": Variant(
                axes=[Axis(name="window", values=[128, 1024, 4096, 8192])],
                base={"n": 8192, "d": 64, "heads": 16, "batch": 1, "causal": True},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="training",
        question="What do forward, backward and both cost?",
        axes=[Axis(name="n", values=[128, 256, 512, 1024])],
        base={"d": 64, "heads": 4, "batch": 1, "causal": True},
        directions=["forward", "backward", "forward+backward"],
        exclude=LEFT_OUT,
        on={
            "cuda": Variant(
                axes=[Axis(name="n", values=[512, 1024, 2048, 4096, 8192])],
                base={"d": 128, "heads": 16, "batch": 1, "causal": True},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="dtype",
        question="What does a smaller dtype save?",
        axes=[Axis(name="n", values=[128, 512])],
        base={"d": 64, "heads": 4, "batch": 1},
        dtypes=["float32", "bfloat16", "float16"],
        exclude=LEFT_OUT,
        on={
            "cuda": Variant(axes=[Axis(name="n", values=[1024, 4096])], base={"d": 128, "heads": 16, "batch": 1}),
        },
    ),
    Scenario(
        name="long-context",
        question="At which length does memory end it for who materialises the scores, and how far do others go on?",
        axes=[Axis(name="n", values=[1024, 2048, 4096, 8192, 16384, 32768])],
        base={"d": 64, "heads": 1, "batch": 1},
        exclude=LEFT_OUT,
        claims=[claims.B1, claims.B2],
        on={
            "cuda": Variant(
                axes=[Axis(name="n", values=[4096, 8192, 16384, 32768, 65536, 131072])],
                base={"d": 128, "heads": 8, "batch": 1},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="layout",
        question="What does it cost that q, k and v are views: heads behind tokens, or one packed buffer?",
        axes=[Axis(name="n", values=[128, 512, 1024]), Axis(name="layout", values=["bhnd", "bnhd", "packed"])],
        base={"d": 64, "heads": 4, "batch": 1},
        exclude=LEFT_OUT,
        on={
            "cuda": Variant(
                axes=[Axis(name="n", values=[1024, 4096]), Axis(name="layout", values=["bhnd", "bnhd", "packed"])],
                base={"d": 128, "heads": 16, "batch": 1},
                dtypes=["bfloat16"],
            )
        },
    ),
    Scenario(
        name="cold-hot",
        question="What does a call cost whose inputs no cache holds?",
        axes=[Axis(name="n", values=[64, 128, 256, 512])],
        base={"d": 64, "heads": 4, "batch": 1},
        caches=["hot", "cold"],
        exclude=LEFT_OUT,
        on={"cuda": Variant(axes=[Axis(name="n", values=[256, 512, 1024, 2048])], dtypes=["bfloat16"])},
    ),
    Scenario(
        name="values",
        question="Does the time depend on the values: normal, peaked on one key, long-tailed, denormal?",
        axes=[
            Axis(name="n", values=[128, 512]),
            Axis(name="values", values=["normal", "peaked", "long_tailed", "denormal"]),
        ],
        base={"d": 64, "heads": 4, "batch": 1},
        exclude=LEFT_OUT,
        on={"cuda": Variant(base={"d": 64, "heads": 64, "batch": 4}, dtypes=["bfloat16"])},
    ),
    Scenario(
        name="published",
        question="Does this device reach the figures that others published (FlashAttention's protocol, laid over)?",
        # FlashAttention-2 and 3 keep 16384 tokens and a width of 2048; a CPU has 1024 tokens.
        axes=[
            Axis(name="n", values=[128, 256, 512], tied={"batch": "1024 / n"}),
            Axis(name="causal", values=[False, True]),
        ],
        shapes=[{"heads": 32, "d": 64}, {"heads": 16, "d": 128}],
        exclude=LEFT_OUT,
        on={
            "cuda": Variant(
                axes=[
                    Axis(name="n", values=[512, 1024, 2048, 4096, 8192, 16384], tied={"batch": "16384 / n"}),
                    Axis(name="causal", values=[False, True]),
                ],
                dtypes=["float16"],
            )
        },
    ),
)
