"""What other tools call a key, and the nearest key to one that is not known.

One table from the words of public training scripts, Hugging Face's Trainer, Lightning, nanoGPT and lm-eval to
lmexp's keys. It is asked for every unknown key: on the command line, in a file, and of a verb.
"""

import re
from collections.abc import Iterable

from lmexp.errors import nearest

_TABLE = """
optimizer.lr: lr learning_rate lrate eta step_size max_lr base_lr peak_lr
schedule.min_lr_ratio: min_lr final_lr end_lr lr_min
optimizer.weight_decay: wd weightdecay l2 decay
optimizer.betas: beta1 beta2 adam_beta1 adam_beta2 adam_betas
optimizer.eps: epsilon adam_epsilon adam_eps
schedule.warmup_steps: warmup warmup_iters warmup_ratio num_warmup_steps lr_warmup_steps
schedule: scheduler lr_scheduler lr_scheduler_type lr_decay decay_lr
optimizer: optim optimiser optimizer_type
trainer.max_steps: epochs num_epochs n_epochs max_epochs num_train_epochs steps num_steps max_iters
    iterations total_steps train_steps max_train_steps num_iterations n_steps n_iters
trainer.devices: gpus gpu num_gpus n_gpus ngpus num_gpu gpu_ids num_processes nproc_per_node world_size
trainer.num_nodes: nodes nnodes
trainer.accelerator: device cuda cpu use_gpu use_cuda no_cuda
trainer.precision: fp16 bf16 fp32 amp dtype torch_dtype mixed_precision half
trainer.gradient_clip_val: grad_clip clip_grad clip max_grad_norm gradient_clip gradient_clipping
    clip_norm
trainer.log_every_n_steps: log_interval log_every logging_steps log_steps log_freq
global_batch_size: batch_size batchsize bs train_batch_size total_batch_size n_batch
micro_batch_size: per_device_train_batch_size device_batch_size gradient_accumulation_steps grad_accum
    accumulate_grad_batches accumulation_steps grad_accumulation_steps
validation_every_steps: eval_interval eval_every eval_steps val_interval val_check_interval eval_freq
    evaluation_strategy eval_strategy
validation_samples: eval_iters limit_val_batches eval_batches val_batches
checkpoint_every_steps: save_steps save_interval save_every checkpoint_interval ckpt_interval save_freq
keep_checkpoints: save_total_limit save_top_k
train_samples: max_train_samples limit_train_batches overfit_batches num_samples_train
model.num_layers: n_layer n_layers layers num_hidden_layers depth num_blocks n_block nlayers
model.num_heads: n_head n_heads heads num_attention_heads nhead
model.num_kv_heads: n_kv_head n_kv_heads num_key_value_heads kv_heads
model.d_model: hidden_size hidden_dim n_embd n_embed embed_dim embedding_dim embedding_size emb_dim dim
    width model_dim dmodel
model.d_ff: intermediate_size ffn_dim ff_dim mlp_dim dim_feedforward n_inner mlp_ratio d_ffn
model.head_dim: d_head head_size d_k
model.context_length: block_size seq_len seq_length sequence_length max_seq_len max_seq_length ctx_len
    n_ctx context context_size context_window max_position_embeddings n_positions max_length block_len
model.tie_embeddings: tie_weights tie_word_embeddings weight_tying tied_embeddings
model.init_std: initializer_range init_scale
model.norm_eps: layer_norm_eps layer_norm_epsilon rms_norm_eps
model.architecture: model_type arch model_name
tokenizer.vocab_size: vocab vocabsize n_vocab vocabulary_size num_merges
tokenizer.path: tokenizer_name tokenizer_path tokenizer_file
corpus.files: data dataset data_path data_dir data_files train_file train_files dataset_path dataset_name
    input text_file
corpus.text_column: text_field text_key column text_column_name
corpus.validation_fraction: val_fraction val_split val_size validation_split validation_size dev_fraction
corpus.test_fraction: test_split test_size
corpus.deduplicate: dedup dedupe deduplication
samples.temperature: temp
samples.top_k: topk
samples.top_p: topp nucleus nucleus_p
samples.max_new_tokens: max_tokens num_tokens max_gen_len max_length gen_len length new_tokens
samples.num_samples: n_samples num_return_sequences num_generations
samples.prompts: prompt start input_text
prompts.num_fewshot: fewshot n_shot n_shots num_shots shots few_shot nshot k_shot
prompts.tasks: task tasks eval_tasks
prompts.limit: num_items max_items
seed: random_seed manual_seed rng_seed random_state
store: output_dir out_dir outdir output save_dir results_dir log_dir run_dir default_root_dir
tracking.mode: wandb use_wandb wandb_mode wandb_log report_to logger no_wandb
tracking.project: wandb_project project project_name
tracking.entity: wandb_entity entity
executor.threads: num_threads n_threads cpu_threads num_workers workers num_proc n_workers
"""
_MEANT: dict[str, list[str]] = {}
for _line in re.sub(r"\n +", " ", _TABLE).strip().splitlines():
    _key, _, _others = _line.partition(": ")
    for _other in _others.split():
        _MEANT.setdefault(_other, []).append(_key)
_NEEDLESS = {
    "resume": "the same command resumes what was stopped",
    "resume_from_checkpoint": "the same command resumes what was stopped",
    "resume_from": "the same command resumes what was stopped",
    "ckpt_path": "the same command resumes what was stopped",
    "overwrite_output_dir": "what is there is reused; force=[STAGE] computes a stage again",
}


def meant_keys(word: str) -> list[str]:
    """Return lmexp's keys for a word of another tool, best first; empty for one that no table has."""
    return list(_MEANT.get(word.lower().replace("-", "_"), ()))


def nearest_key(key: str, valid: Iterable[str], *, everywhere: Iterable[str] = ()) -> str:
    """Return `` (did you mean 'x'?)`` for a key that is not known, or an empty string.

    `valid` are the names that may stand in the key's own place, `everywhere` all dotted ones.
    """
    here, known = list(valid), list(everywhere)
    last = key.rpartition(".")[2].lower().replace("-", "_")
    if last in _NEEDLESS:
        return f" ({_NEEDLESS[last]})"
    meant = meant_keys(last)
    local = next(
        (name for name in (t.rpartition(".")[2] for t in meant) if name in here and name != key), None
    )
    if local is not None:
        return f" (did you mean {local!r}?)"
    if hint := nearest(key, here):
        return hint
    if found := next((target for target in meant if target in known and target != key), None):
        return f" (did you mean {found!r}?)"
    same = [name for name in (*here, *known) if name.rpartition(".")[2] == last and name != key]
    return f" (did you mean {same[0]!r}?)" if same else nearest(key, known)
