"""Scenarios of the shapes that people run: models, decoding, masks, training, layouts, long contexts."""

from __future__ import annotations

from scenarios import claims
from scenarios.scenario import Axis, Claim, Point, Scenario, Value, Variant

# Left out unless asked for by name: what is compiled for each shape, and a Python loop over rows.
LEFT_OUT = ["loop", "flex*"]
# Heads, key heads and sizes of a head, as each model is published: the file that says so stands above it, of GitHub.
MODELS: dict[str, Point] = {
    # openai/gpt-2, src/model.py: n_head 12, n_embd 768.
    "GPT-2 (openai-community/gpt2)": {"heads": 12, "kv_heads": 12, "d": 64, "causal": True},
    # google-research/bert, README.md: BERT-Base, Uncased, 768-hidden, 12-heads.
    "BERT-base (google-bert/bert-base-uncased)": {"heads": 12, "kv_heads": 12, "d": 64, "causal": False},
    # google-research/vision_transformer, vit_jax/configs/models.py: get_l16_config, num_heads 16, hidden_size 1024.
    "ViT-L/16 (google/vit-large-patch16-224)": {"heads": 16, "kv_heads": 16, "d": 64, "causal": False},
    # Lightning-AI/litgpt, litgpt/config.py, of its config.json: n_head 32, n_query_groups 8, n_embd 4096.
    "Llama 3 8B (meta-llama/Meta-Llama-3-8B)": {"heads": 32, "kv_heads": 8, "d": 128, "causal": True},
    # The same file: n_head 64, n_query_groups 8, n_embd 8192.
    "Llama 3 70B (meta-llama/Meta-Llama-3-70B)": {"heads": 64, "kv_heads": 8, "d": 128, "causal": True},
    # Retruth/deontic, nlp_models/qwen2/README.md, which prints the config of 7B: num_attention_heads 28,
    # num_key_value_heads 4, hidden_size 3584; Qwen2.5 keeps them.
    "Qwen2.5 7B (Qwen/Qwen2.5-7B)": {"heads": 28, "kv_heads": 4, "d": 128, "causal": True},
    # openai/gpt-oss, gpt_oss/torch/model.py, for both sizes: num_attention_heads 64, num_key_value_heads 8, head_dim
    # 64; every other layer has sliding_window 128. Its learned sinks are no part of this.
    "gpt-oss 20B, its full layers (openai/gpt-oss-20b)": {"heads": 64, "kv_heads": 8, "d": 64, "causal": True},
    "gpt-oss 20B, its sliding layers": {"heads": 64, "kv_heads": 8, "d": 64, "causal": True, "window": 128},
    # huggingface/transformers, models/deepseek_v3/configuration_deepseek_v3.py: num_attention_heads 128; queries and
    # keys have qk_nope_head_dim 128 features and qk_rope_head_dim 64 of position, values v_head_dim 128.
    "DeepSeek-V3, expanded (deepseek-ai/DeepSeek-V3)": {
        "heads": 128,
        "kv_heads": 128,
        "d": 192,
        "d_v": 128,
        "causal": True,
    },
}
# As few as time is judged by, over a range of 64.
DECODE_CPU: list[Value] = [512, 1024, 2048, 4096, 8192, 16384, 32768]
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
        # One length on a CPU, so that every model is met there within a minute; `-a n=...` asks for others.
        axes=[Axis(name="n", values=[128])],
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
        name="options",
        question="What does the best setting of an implementation's options gain over its default, and at which sizes?",
        axes=[Axis(name="n", values=[128, 256, 512, 1024, 2048])],
        base={"d": 64, "heads": 2, "batch": 1},
        implementations=["sdpa-auto", "online", "online:*"],
        on={
            "cuda": Variant(
                # One query a sequence leaves a GPU idle unless the keys are split.
                axes=[Axis(name="n_q", values=[1, 256, 4096])],
                base={"n_k": 8192, "d": 128, "heads": 16, "batch": 1},
                implementations=["sdpa-auto", "online", "online:*", "flash-attn-3", "flash-attn-3:*"],
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
