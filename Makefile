# Every verb is one `python -m …` line. The virtual environment is made from requirements.lock when it is first
# needed. All paths of the project are relative, so the checkout may lie anywhere, spaces included.

# Values come from the command line, else from the environment under a DCAL_ prefix (DCAL_DATA=/data), else from here.
PROFILE := mini
DATA :=
WEIGHTS :=
RUNS := runs
CELLS :=
TABLE :=
SEEDS := 0
SET :=
JOBS :=
DEVICE :=
WORKERS :=
RERUN :=
EXECUTOR := local
CLUSTER :=
DRY :=
WATCH :=
CELL :=
LOG :=
IMAGE :=
TAG :=
CHECKPOINT :=
LAYERS :=
PICK :=
BOX_SIDE :=
PICTURES :=
BACKBONES :=
MINUTES :=
MODEL :=
CORRUPT := noise=0.05,0.1,0.2 blur=1,2 jpeg=50,10 occlude=0.1,0.3
GALLERY :=
OUT :=
TO :=
TUNE :=
TRACK :=
MIRROR :=
AGAIN :=
ONLY :=
PYTHON := python3
TESTS := tests

PY := .venv/bin/python
VENV := .venv/.installed
OPTIONAL := .venv/.optional

# Which variables a verb reads. Any other one on the command line is refused before anything starts.
PLACES := PROFILE RUNS DATA WEIGHTS SET
GRID := $(PLACES) CELLS SEEDS
MACHINE := DEVICE WORKERS TUNE TRACK RERUN
READS_table1 := $(GRID) JOBS $(MACHINE) EXECUTOR CLUSTER DRY
READS_table2 := $(READS_table1)
READS_extras := $(READS_table1)
READS_ablations := $(READS_table1)
READS_run := $(PLACES) SEEDS CELL LOG $(MACHINE)
READS_submit := $(GRID) TABLE CLUSTER $(MACHINE) DRY
READS_retry := $(READS_submit)
READS_status := $(GRID) TABLE WATCH
READS_cancel := $(GRID) TABLE
READS_logs := $(PLACES) SEEDS CELL
READS_tables := $(PLACES) SEEDS
READS_report := $(PLACES) SEEDS PICTURES
READS_heatmaps := $(GRID) PICK LAYERS JOBS
READS_heatmap := $(PLACES) SEEDS IMAGE CELL TAG CHECKPOINT LAYERS
READS_attention := $(GRID) LAYERS BOX_SIDE DEVICE WORKERS
READS_evaluate := $(GRID) TABLE MODEL DEVICE WORKERS
READS_robustness := $(GRID) MODEL CORRUPT OUT DEVICE WORKERS
READS_predict := $(PLACES) SEEDS IMAGE MODEL GALLERY OUT DEVICE
READS_export := $(PLACES) SEEDS CELL TO
READS_list := $(GRID) TABLE
READS_settings := $(PLACES)
READS_check-data := $(GRID) TABLE
READS_weights := $(GRID) TABLE MIRROR
READS_forecast := $(GRID) TABLE JOBS DEVICE WORKERS TUNE AGAIN
READS_mini-data := $(PLACES)
READS_mini-weights := BACKBONES MINUTES
READS_bench := RUNS ONLY DEVICE
# The last four are the tests' own; they keep their names in the environment, too.
READS_test := TESTS DCAL_SHARED DCAL_SLURM DCAL_BROWSER DCAL_SCREENSHOTS
READS_test-slurm := $(filter-out TESTS,$(READS_test))
$(foreach verb,optional lint format clean distclean,$(eval READS_$(verb) :=))
include benchmark/commands/variables.mk

# The option of a variable; what has none here is passed by its verb's own line.
OPTION := PROFILE--profile RUNS--runs DATA--data WEIGHTS--weights SET--set CELLS--cells SEEDS--seeds TABLE--table \
	JOBS--jobs DEVICE--device WORKERS--workers TUNE--tune TRACK--track RERUN--rerun CLUSTER--cluster LOG--log-interval \
	PICK--pick LAYERS--layers IMAGE--image TAG--tag CHECKPOINT--checkpoint BOX_SIDE--box-side CORRUPT--corrupt OUT--out \
	GALLERY--gallery TO--to MIRROR--mirror BACKBONES--backbone MINUTES--minutes
option = $(patsubst $(1)--%,--%,$(filter $(1)--%,$(OPTION)))
# The options of those variables in a list that have a value.
pass = $(foreach name,$(1),$(if $(and $(call option,$(name)),$($(name))),$(call option,$(name)) $(call q,$($(name)))))

ON_CLUSTER := $(filter slurm,$(EXECUTOR))
REHEARSED := $(filter 1,$(DRY))
LAUNCH := $(if $(ON_CLUSTER),-m slurm submit,-m benchmark launch)
# After a launch: every run asked for has its number, or is on its way on the cluster, else status 1 and why, last.
REQUIRE = --require $(if $(ON_CLUSTER),submitted,done) --required-cells $(call q,$(CELLS))

refuse = $(if $(1),echo $(call q,error: $(strip $(1))) >&2; exit 2;)
# What makes no sense of a verb that runs a table.
define REFUSALS
@$(call refuse,$(if $(filter local slurm,$(EXECUTOR)),,EXECUTOR=$(EXECUTOR): expected local or slurm))
@$(call refuse,$(and $(REHEARSED),$(filter local,$(EXECUTOR)),DRY shows what would go to a cluster: add EXECUTOR=slurm))
@$(call refuse,$(and $(CLUSTER),$(filter local,$(EXECUTOR)),$(filter CLUSTER,$(GIVEN)),CLUSTER is the file of a cluster: add EXECUTOR=slurm))
@$(call refuse,$(and $(JOBS),$(ON_CLUSTER),$(filter JOBS,$(GIVEN)),JOBS is for this machine; on a cluster the cluster file caps with parallel))
endef

.DEFAULT_GOAL := help
.PHONY: help table1 table2 extras ablations tables report heatmaps heatmap attention list settings check-data weights forecast bench \
	mini-data mini-weights optional run evaluate robustness predict export submit status retry cancel logs test test-slurm lint format clean distclean

help: export HELP = $(VARIABLES)
help: ## this list
	@echo "make VERB [VARIABLE=value …]"
	@echo
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1|\2/' | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo
	@printf '%s\n' "$$HELP"

define VARIABLES
Variables, with their values now. One that is misspelt, or that the verb does not read, is refused.
A value may also stand in the environment under a prefix: DCAL_DATA=/data is DATA=/data for every verb that reads it.
  PROFILE=$(PROFILE)      recipe: mini (generated pictures, minutes on a CPU), quick (real pictures, one machine), paper
  DATA=$(DATA)             folder that holds the datasets; none: the mini profile's own, written on first use
  WEIGHTS=$(WEIGHTS)          folder of pretrained weights; none: the Hugging Face cache, else a download
  RUNS=$(RUNS)         folder of run records and tables; make tables and make report also take several, 'mine theirs'
  CELLS=$(CELLS)            patterns dataset/backbone/method, e.g. 'cub/deit_*/dcal cars'; none: all
  TABLE=$(TABLE)            table1, table2, extras or ablations: only its cells, for list, status, submit, forecast and the like; none: the three tables
  SEEDS=$(SEEDS)           seeds, e.g. '0 1 2'
  SET=$(SET)              settings, e.g. 'train.epochs=3 model.glca_readout=mean'; make settings lists them
  JOBS=$(JOBS)             runs at once; none: one a GPU, or one a core
  DEVICE=$(DEVICE)           auto, cpu or cuda; none: as the profile says
  WORKERS=$(WORKERS)          decoding processes a run; none: as the machine allows
  TUNE=$(TUNE)             speed and memory, not the numbers: 'accumulate=2 recompute=true compile=true' (benchmark/README.md)
  TRACK=$(TRACK)            tensorboard, wandb or both: show histories there, too (benchmark/training/trackers/README.md); needs make optional
  RERUN=$(RERUN)            stale: set runs of other settings aside and run their cells anew
  MIRROR=$(MIRROR)           folder that make weights copies from; none: the hub
  AGAIN=$(AGAIN)            1: make forecast measures also what it measured before
  ONLY=$(ONLY)               make bench: which benchmarks; none: all that the device is for
  EXECUTOR=$(EXECUTOR)    local, or slurm: submit to a cluster and return
  CLUSTER=$(CLUSTER)          cluster file; none: slurm/cluster.toml (slurm/README.md)
  DRY=$(DRY)              1: with submit, retry and EXECUTOR=slurm, print what would be sent, and send nothing
  WATCH=$(WATCH)            1 or a number of seconds: make status repeats itself
  CELL=$(CELL) LOG=$(LOG)        make run, logs, heatmap and export: which cell, with SEEDS; make run: steps between two lines of its log
  PICK=$(PICK) LAYERS=$(LAYERS)     heatmaps: which test pictures (reports/README.md), which blocks, e.g. 1-11
  IMAGE=$(IMAGE) TAG=$(TAG) CHECKPOINT=$(CHECKPOINT)   make heatmap: any picture (make predict, too), timm model, checkpoint file
  MODEL=$(MODEL)            make evaluate, robustness and predict: a run like cub/deit_tiny/dcal, its folder, or a .safetensors file
  CORRUPT=$(CORRUPT)   make robustness: kinds and levels
  GALLERY=$(GALLERY) OUT=$(OUT) TO=$(TO)   make predict: pictures to find the nearest of; where to; make export: which file
  BOX_SIDE=$(BOX_SIDE)         make attention: longest side of the pictures that the boxes were drawn on
  PICTURES=$(PICTURES)         0: make report draws no heatmaps
  PYTHON=$(PYTHON)    interpreter (3.11 to 3.13) the virtual environment is made with, once
  TESTS=$(TESTS)       what make test runs
  BACKBONES=$(BACKBONES) MINUTES=$(MINUTES)   for make mini-weights: which (none: all), CPU minutes of each
endef

table1: $(VENV) ## run what is missing of Table 1 (fine-grained), then write and print the table
table2: $(VENV) ## run what is missing of Table 2 (re-identification), then write and print the table
extras: $(VENV) ## the same for the paper's further backbones, CaiT and Swin
# The tables of one folder, even where its name has spaces: quoted once for the shell, once for who reads several.
TABLES = $(call pass,PROFILE DATA WEIGHTS SET SEEDS) --runs $(call q,$(call q,$(RUNS)))
# A launch that was refused, or only rehearsed, is followed by no table. The first status that is not 0 is the verb's.
LAUNCHED = $(PY) $(LAUNCH) --table $@ $(call pass,$(GRID) $(MACHINE) $(if $(ON_CLUSTER),CLUSTER,JOBS)) $(if $(REHEARSED),--dry); status=$$?; \
	if [ $$status -eq 2 $(if $(REHEARSED),-o 1) ]; then exit $$status; fi
table1 table2 extras:
	$(REFUSALS)
	@$(LAUNCHED); $(PY) -m tables $@ $(TABLES) $(REQUIRE); shown=$$?; [ $$status -ne 0 ] || status=$$shown; exit $$status

ablations: $(VENV) ## run what is missing of the paper's ablations, count GLCA's cost, write table, figures and page
	$(REFUSALS)
	@$(LAUNCHED); $(PY) -m benchmark overhead $(call pass,$(PLACES)) && $(PY) -m reports $@ $(TABLES) && \
	$(PY) -m tables $@ $(TABLES) $(REQUIRE); shown=$$?; [ $$status -ne 0 ] || status=$$shown; exit $$status

run: $(VENV) ## one run by hand with its log: CELL=dataset/backbone/method, the dataset also a folder of your own in DATA; LOG=steps
	@$(call refuse,$(if $(CELL),,which run? make run CELL=cub/deit_tiny/dcal))
	@$(PY) -m benchmark run $(call q,$(CELL)) $(call pass,$(filter-out SEEDS,$(READS_run))) --seed $(call q,$(SEEDS))

submit: $(VENV) ## submit what is missing to the cluster, of all tables or of CELLS; DRY=1 prints what would be sent
	@$(PY) -m slurm submit $(call pass,$(READS_submit)) $(if $(REHEARSED),--dry)

status: $(VENV) ## every run with its state, progress and place, from run folders and SLURM; WATCH=1 repeats it
	@$(PY) -m slurm status $(call pass,$(READS_status)) \
	$(if $(filter-out 0,$(WATCH)),--watch $(if $(filter-out 1,$(WATCH)),$(call q,$(WATCH)),30))

retry: $(VENV) ## submit failed, damaged and preempted runs again
	@$(PY) -m slurm retry $(call pass,$(READS_retry)) $(if $(REHEARSED),--dry)

cancel: $(VENV) ## take queued runs back and end running ones, which save first
	@$(PY) -m slurm cancel $(call pass,$(READS_cancel))

logs: $(VENV) ## the end of the log of CELL=dataset/backbone/method, and of its job's output
	@$(call refuse,$(if $(CELL),,which run? make logs CELL=cub/deit_tiny/dcal))
	@$(PY) -m slurm logs $(call pass,$(READS_logs)) --cells $(call q,$(CELL))

tables: $(VENV) ## write and print all tables from what is there; starts no run
	@for table in table1 table2 extras ablations; do $(PY) -m tables $$table $(call pass,$(READS_tables)) || exit $$?; done

report: $(VENV) ## write the pages: tables, verdicts, curves, heatmaps, costs, of all seeds there are; PICTURES=0: records alone
	@$(PY) -m reports page $(call pass,$(PLACES) $(filter SEEDS,$(TAKEN))) $(if $(filter 0,$(PICTURES)),--no-pictures)

heatmaps: $(VENV) ## draw where baseline and DCAL look, for CELLS; PICK and LAYERS
	@$(PY) -m reports heatmaps $(call pass,$(READS_heatmaps))

heatmap: $(VENV) ## the same for IMAGE, with the runs of CELL=dataset/backbone, a CHECKPOINT, or the weights of a timm TAG
	@$(call refuse,$(if $(IMAGE),,which picture? make heatmap IMAGE=bird.jpg CELL=cub/deit_tiny))
	@$(call refuse,$(if $(CELL)$(TAG),,with which model? CELL=cub/deit_tiny for runs, or TAG=deit_tiny_patch16_224.fb_in1k for timm weights))
	@$(PY) -m reports heatmap $(call pass,$(READS_heatmap)) $(if $(CELL),--cell $(call q,$(CELL)))

attention: $(VENV) ## measure how concentrated attention is, and its share on the object, for CELLS; BOX_SIDE and LAYERS
	@$(PY) -m reports attention $(call pass,$(READS_attention))

evaluate: $(VENV) ## evaluate finished runs again, against their records: CELLS, or MODEL=run, folder or file; DATA=folder of your own
	@$(call refuse,$(and $(CELLS),$(MODEL),$(filter CELLS,$(GIVEN)),CELLS names runs of the grid and MODEL one of them or a file: give one of the two))
	@$(PY) -m benchmark evaluate $(if $(MODEL),$(call q,$(MODEL))) $(call pass,$(if $(MODEL),$(filter-out CELLS,$(READS_evaluate)),$(READS_evaluate)))

robustness: $(VENV) ## the same on pictures made worse, baseline against DCAL, as table and plot: CELLS='cub/deit_tiny/*', CORRUPT
	@$(call refuse,$(and $(CELLS),$(MODEL),$(filter CELLS,$(GIVEN)),CELLS names runs of the grid and MODEL one of them or a file: give one of the two))
	@$(PY) -m benchmark evaluate $(if $(MODEL),$(call q,$(MODEL))) $(call pass,$(if $(MODEL),$(filter-out CELLS,$(READS_robustness)),$(READS_robustness)))

predict: $(VENV) ## what MODEL=run, folder or file says of IMAGE, and where it looks; GALLERY for re-identification
	@$(call refuse,$(if $(and $(IMAGE),$(MODEL)),,make predict IMAGE=bird.jpg MODEL=cub/deit_tiny/dcal))
	@$(PY) -m benchmark predict --model $(call q,$(MODEL)) $(call pass,$(READS_predict))

export: $(VENV) ## write the model of CELL's finished run to one file: TO=bird.safetensors, .onnx or .pt2
	@$(call refuse,$(if $(CELL),,which run? make export CELL=cub/deit_tiny/dcal TO=bird.safetensors))
	@$(call refuse,$(if $(TO),,into which file? TO=bird.safetensors, .onnx or .pt2))
	@$(PY) -m benchmark export $(call q,$(CELL)) $(call pass,$(READS_export))

list: $(VENV) ## every run of the grid with its state
	@$(PY) -m benchmark list $(call pass,$(READS_list))

settings: $(VENV) ## every setting of the profile with its value and what it is; the open readings of the paper
	@$(PY) -m benchmark settings $(call pass,$(READS_settings))

check-data: $(VENV) ## compare the datasets in DATA with the official counts, open every picture
	@$(PY) -m benchmark check-data $(call pass,$(READS_check-data))

weights: $(VENV) ## fetch the pretrained weights that CELLS need into WEIGHTS, verified and recorded; MIRROR=folder copies them
	@$(PY) -m benchmark weights $(call pass,$(READS_weights))

forecast: $(VENV) ## measure a few steps of CELLS on this machine's DEVICE, and print what their runs will take
	@$(PY) -m benchmark forecast $(call pass,$(READS_forecast)) $(if $(filter 1,$(AGAIN)),--again)

mini-data: $(VENV) ## write the generated mini sets
	@$(PY) -m benchmark mini-data $(call pass,$(READS_mini-data))

mini-weights: $(VENV) ## train the mini backbones anew (minutes each); the result is committed
	$(PY) -m benchmark.commands.mini_weights $(if $(BACKBONES),,--all) $(call pass,$(READS_mini-weights))

bench: $(VENV) ## measure time and memory, against the usual code where there is one; ONLY=training, DEVICE=cuda
	$(PY) -m benchmark.commands.bench --out $(call q,$(RUNS)/bench) $(foreach name,$(ONLY),--only $(call q,$(name))) $(call pass,DEVICE)

test: $(OPTIONAL) ## run the tests, in one process more than cores; TESTS=path or pytest options
	@$(PY) -c 'import shlex, sys, pytest; sys.exit(pytest.main(["-n", "auto", "--dist", "loadfile", *shlex.split(sys.argv[1])]))' $(call q,$(TESTS))

test-slurm: $(OPTIONAL) ## run the tests that bring up a SLURM of their own (Debian's slurm-wlm and munge, root)
	$(PY) -m pytest tests/slurm

optional: $(OPTIONAL) ## install what only some uses need: TensorBoard, W&B, ONNX, Hugging Face transformers

lint: $(VENV) ## check code and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV) ## format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## remove caches; run records and data stay
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
	rm -rf .pytest_cache .ruff_cache .hypothesis

distclean: clean ## remove the virtual environment as well
	rm -rf .venv

$(VENV): requirements.lock
	@command -v $(call q,$(PYTHON)) >/dev/null || { echo $(call q,error: no interpreter $(PYTHON); set PYTHON=python3.12 or the like) >&2; exit 2; }
	@$(call q,$(PYTHON)) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"error: Python 3.11 to 3.13 is needed, {sys.executable} is {v.major}.{v.minor}; set PYTHON=")'
	@echo $(call q,making .venv with $(PYTHON) (once$(comma) several GB with the CUDA build of PyTorch on Linux)) >&2
	@test -x $(PY) || $(call q,$(PYTHON)) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@touch $(VENV)

$(OPTIONAL): $(VENV) tests/optional.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r tests/optional.lock
	@touch $(OPTIONAL)
