"""Remedies for error messages of Hydra, Lightning and other libraries."""

# From the beginning of a message, as a regular expression, to what replaces it and the rest.
REMEDIES = {
    "Trainer was configured with `enable_checkpointing=False` but found": "a callback saves checkpoints; use "
    "callbacks.checkpoint=null with it",
    "Trainer was configured with `enable_progress_bar=False` but found": "a callback draws a progress bar; use "
    "trainer.enable_progress_bar=true with it",
    "Cannot use `LearningRateMonitor` callback with `Trainer` that has no logger": "callbacks.lr_monitor has no logger "
    "to write into; use logger=tensorboard with it",
    "surrogates not allowed|LexerNoViableAltException: .*[\udc80-\udcff]": "a letter of the command line or of its "
    "directory cannot be read in this locale; use PYTHONUTF8=1 with it",
    r"`\w+Accelerator` can not run on your system": "this machine has no such device; use trainer.accelerator=cpu",
    "No supported gpu backend found": "this machine has no usable GPU; use trainer.accelerator=cpu",
    r"Could not find 'hydra/(launcher|sweeper)/(joblib|optuna|submitit_\w+)'": r"hydra/\1=\2 needs a package that is "
    "not installed; use pip install -e '.[sweep]'",
    r"(?:Cannot find primary config|Could not (?:find|load)) '([^']*)'[^:]* Config search path:": r"there is no file "
    r"\1.yaml in conf; use the name of one that is",
    r"Could not override '(\w+)'\. No match in the defaults list": r"this command takes no file of \1; drop it, or use "
    r"single keys of \1 that --cfg job shows",
    " Config search path:": "; use one of these",
    "mismatched input '=' expecting <EOF>": "a value that contains = needs quotes of its own: \"key='value'\"",
    r"You restored a checkpoint with current_epoch=(\d+)": r"ckpt_path is at epoch \1; use a larger trainer.max_epochs",
    "Config group override must be a string or a list": "that is no option of a group; use the name of a file of it, "
    "or ~<group> for none",
    r"LexerNoViableAltException: (\S+)": r"\1 cannot be read; use quotes of its own around the value",
    r"no viable alternative at input '(\S+)' See": r"\1 cannot be read; use a value in Hydra's grammar, or quotes of "
    "its own around it",
    r"Error parsing override '([A-Za-z_+~][^']*)' missing EQUAL": r"\1 has no value; use \1=<value>",
    "Error parsing override '([^']*)' missing EQUAL": r"\1 is no key=value; use no space beside the =",
    r"In '([^']*)': Could not override '\w+/(\w+)@\w+'": r"\1.yaml overrides \2 without a slash; use - override /\2: "
    "<name> in it",
    r"\w+ raised while resolving interpolation: HydraConfig was not set full_key: (\S+)": r"\1 refers to another key, "
    "so Hydra cannot delete it; use another value",
    r"Cannot overwrite study direction from \[<\w+\.(\w+)": "this is not the hydra.sweeper.direction of the stored "
    r"study, \1; use that, or another hydra.sweeper.study_name",
    r"Interpolation key 'data\.bits' not found": "the file of conf/data has no bits; add bits: <inputs>",
    "Cannot set different distribution kind|.* does not support dynamic value space": "the stored study searches a key "
    "in another way; use the same kind of values, or another hydra.sweeper.study_name",
    "Failed to import DB access module|Can't load plugin: sqlalchemy": "hydra.sweeper.storage needs a package that is "
    "not installed; use sqlite:///<a file that can be written>",
    r"\([\w.]+\.\w*Error\) ([^\[(]*\w)": r"hydra.sweeper.storage: \1; use sqlite:///<a file that can be written>",
    r"Requirement '(mlflow|wandb)\b.* not met": r"the package \1 is not installed; use pip install -e '.[\1]'",
    r"`DeviceStatsMonitor` cannot .* as `psutil` is not installed": "the package psutil is not installed; use pip "
    "install psutil",
    r"(Job \S+).* has not produced any output \(state: (\w+)\)": r"\1 of the launcher ended without a result (\2); "
    "use the same command to resume",
    r"'\w+' object has no attribute 'total_seconds'": "that is no time; use DD:HH:MM:SS",
    "A worker process managed by the executor was unexpectedly terminated": "a process of the launcher was killed; use "
    "the same command to resume",
    r"Unexpected type annotation: Set\[str\]": "a list of values holds no range, choice or interval; use single values",
    r"\w+ raised while resolving interpolation: (\[Errno .*) full_key:": r"\1",
    r"Missing mandatory value: (\w+)": r"\1 is missing; use \1=<value>",
}

DISK = "use hydra.run.dir=<a writable directory with free space>"
SWEEP_DISK = DISK.replace("run.dir", "sweep.dir")
