"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.training.optimization.config", "lmexp.training.config")
OPTIONS = """\
OptimizerConfig.name = 'adamw' of adamw, muon, sgd
OptimizerConfig.lr = 0.003 > 0 <= 100
OptimizerConfig.embedding_lr = None > 0 <= 100
OptimizerConfig.betas = (0.9, 0.95) >= 0 < 1
OptimizerConfig.eps = 1e-08 > 0 < 1
OptimizerConfig.weight_decay = 0.1 >= 0 <= 10
OptimizerConfig.muon_lr = 0.02 > 0 <= 10
OptimizerConfig.muon_momentum = 0.95 >= 0 < 1
OptimizerConfig.muon_ns_steps = 5 >= 1 <= 20
AveragingConfig.from_step = None >= 0
AveragingConfig.patience = None >= 0
ScheduleConfig.name = 'cosine' of cosine, wsd, stairs
ScheduleConfig.warmup_steps = 0 >= 0
ScheduleConfig.decay_fraction = 0.2 >= 0 <= 1
ScheduleConfig.min_lr_ratio = 0.1 >= 0 <= 1
ScheduleConfig.hold_steps = 0 >= 0 (absent: 0)
ScheduleConfig.stair_steps = 1000 >= 1 (absent: 1000)
ScheduleConfig.stair_ratio = 0.5 > 0 <= 1 (absent: 0.5)
TrainerConfig.max_steps >= 1 <= 1000000000
TrainerConfig.precision = '32-true' of 64-true, 32-true, bf16-mixed
TrainerConfig.gradient_clip_val = 1.0 > 0
TrainerConfig.gradient_clip_algorithm = 'norm' of norm
TrainerConfig.devices = 1 >= 1 <= 1024
TrainerConfig.num_nodes = 1 >= 1 <= 1
TrainerConfig.accelerator = 'auto' of auto, cpu, gpu, cuda
TrainerConfig.deterministic = False
TrainerConfig.benchmark = False
TrainerConfig.log_every_n_steps = 10 >= 1
TrainerConfig.compile = 'auto' of auto, on, off
PretrainConfig.seed = 0 >= 0 <= 9223372036854775807
PretrainConfig.model = GPTConfig
PretrainConfig.objective = NextTokenConfig (absent: NextTokenConfig)
PretrainConfig.optimizer = OptimizerConfig
PretrainConfig.schedule = ScheduleConfig
PretrainConfig.averaging = AveragingConfig (absent: AveragingConfig)
PretrainConfig.trainer
PretrainConfig.global_batch_size = 32 >= 1
PretrainConfig.micro_batch_size = None >= 1
PretrainConfig.sample_length = None >= 2 <= 1048576 (absent: None)
PretrainConfig.train_samples = None >= 1 (absent: None)
PretrainConfig.document_masking = False (absent: False)
PretrainConfig.carry_state = False (absent: False)
PretrainConfig.validation_every_steps = None >= 1 (absent: None)
PretrainConfig.validation_samples = 64 >= 1 (absent: 64)
PretrainConfig.publish = 'last' of last, best (absent: 'last')
PretrainConfig.publish_steps = () >= 1 (absent: ())
PretrainConfig.checkpoint_every_steps = 100 >= 1
PretrainConfig.keep_checkpoints = 1 >= 1
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
