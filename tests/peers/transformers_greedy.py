#!/usr/bin/env python3
"""Greedy answers of a model, by `dag` and by transformers: the same text, character by character.

    python tests/peers/transformers_greedy.py --pipeline pipelines/quickstart.toml --stage scores --model student

The answers of `dag` are those in the `samples` table of an `eval` stage at temperature 0, which must have
run. transformers loads the model folder as it lies in the cache, renders the messages with the folder's own
chat template and generates on the CPU in float32. Ends with 1 if any text or end differs, and says where
and how close the two best tokens were there.
"""

import argparse
import sys

import jinja2
import pandas
import torch
import transformers

from dag_files import Results


def messages(row, system, template):
    """What the model is asked, as `eval` asks it."""
    columns = {name: value for name, value in row.items() if isinstance(value, str)}
    turns = [{"role": "system", "content": system}] if system else []
    # No autoescape, and a final line break stays: the text is a message, not a page.
    text = jinja2.Environment(keep_trailing_newline=True).from_string(template).render(columns)
    return [*turns, {"role": "user", "content": text}]


def margin(model, tokens):
    """The two best next tokens and the distance of their logits."""
    with torch.no_grad():
        best = torch.topk(model(tokens).logits[0, -1], 2)
    return best.indices.tolist(), (best.values[0] - best.values[1]).item()


def first_difference(model, tokenizer, prompt, generated, ours):
    """Where their text leaves ours."""
    tokens = generated.tolist()
    for length in range(1, len(tokens) + 1):
        text = tokenizer.decode(tokens[:length], skip_special_tokens=True)
        if not ours.startswith(text.rstrip("\ufffd")):
            before = torch.cat([prompt[0], generated[: length - 1]])[None]
            pair, distance = margin(model, before)
            words = [tokenizer.decode([token]) for token in pair]
            return f"token {length}: best two {words!r}, logits {distance:.6f} apart"
    return f"ours goes on after {len(tokens)} tokens"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="pipelines/quickstart.toml")
    parser.add_argument("--stage", default="scores", help="an `eval` stage")
    parser.add_argument("--model", action="append", help="a name in its `models`; can be repeated; default: student")
    parser.add_argument("--rows", type=int, default=30, help="how many problems, taken evenly")
    parser.add_argument("--dag", default="target/release/dag")
    parser.add_argument("--set", action="append", default=[], help="as given to `dag run`")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    results = Results(arguments.dag, arguments.pipeline, arguments.set)
    setting = lambda name, default: results.setting(arguments.stage, name, default)
    if setting("temperature", 0) != 0 or setting("prompts", None) or setting("stop", None):
        raise SystemExit("the stage must be greedy and have neither `prompts` nor `stop`")
    samples = pandas.read_parquet(results.place(f"{arguments.stage}.samples"))
    limit, wrong, compared = setting("max_tokens", 4096), 0, 0
    for name in arguments.model or ["student"]:
        folder = results.model_folder(setting("models", {})[name])
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        rows = samples[(samples.model == name) & (samples.replicate == 0)]
        if rows.empty:
            raise SystemExit(f"no answers of {name}; there are {sorted(samples.model.unique())}")
        rows = rows.iloc[:: max(1, len(rows) // arguments.rows)].head(arguments.rows)
        same = tokens = 0
        for _, row in rows.iterrows():
            prompt = tokenizer.apply_chat_template(
                messages(row, setting("system", None), setting("template", "{{ prompt }}")),
                add_generation_prompt=True, return_tensors="pt", return_dict=True,
            )
            with torch.no_grad():
                whole = model.generate(**prompt, do_sample=False, max_new_tokens=limit)
            generated = whole[0, prompt["input_ids"].shape[1]:]
            tokens += len(generated)
            text = tokenizer.decode(generated, skip_special_tokens=True)
            ends = model.generation_config.eos_token_id
            ends = ends if isinstance(ends, list) else [ends]
            finish = "stop" if generated[-1].item() in ends else "length"
            if (text, finish) == (row.response, row.finish_reason):
                same += 1
                continue
            wrong += 1
            print(f"{name}, problem {row.id}: {row.finish_reason} here, {finish} there")
            if text != row.response:
                print("  " + first_difference(model, tokenizer, prompt["input_ids"], generated, row.response))
                print(f"  dag:          {row.response!r}\n  transformers: {text!r}")
        compared += len(rows)
        print(f"{name}: {same} of {len(rows)} answers the same, {tokens} tokens; "
              f"{type(model).__name__}, {model.num_parameters():,} parameters, from {folder}", flush=True)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    sys.exit(1 if wrong or not compared else 0)


if __name__ == "__main__":
    main()
